"""What sentences are made of: names by type, some of several types, and words between them.

Names are made, not listed, where they can be: an agent meets most surnames and titles for the first
time and has to read them off their surroundings, as with the emerging names of real posts.
"""

from __future__ import annotations

FIRST_NAMES = (
    "Anna", "Ben", "Carla", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas",
    "Kira", "Liam", "Mara", "Nadia", "Oscar", "Paula", "Quinn", "Rosa", "Sam", "Tara",
)  # fmt: skip
# These are people as well as places or firms; only their surroundings tell.
SHARED_NAMES = ("Jordan", "Paris", "Sydney", "Austin", "Chelsea", "Morgan", "Florence", "Dallas")
SHARED_PLACES = ("Jordan", "Paris", "Sydney", "Austin", "Chelsea", "Florence", "Dallas")
SHARED_FIRMS = ("Morgan", "Austin", "Chelsea", "Jordan")
SURNAME_STARTS = (
    "Bar",
    "Cor",
    "Del",
    "Fan",
    "Gar",
    "Hol",
    "Kel",
    "Lam",
    "Mor",
    "Nor",
    "Pel",
    "Ros",
)
SURNAME_ENDS = ("ber", "dini", "gate", "kins", "lez", "man", "nova", "rick", "sen", "ton", "ville")

PLACES = ("Oslo", "Lima", "Cairo", "Kyoto", "Denver", "Madrid", "Nairobi", "Dublin", "Hanoi")
PLACE_FRONTS = ("Lake", "North", "Mount", "New", "Port")
FIRM_STEMS = ("Vexa", "Norlin", "Ardo", "Quanta", "Belmor", "Tivra", "Zentro", "Omnia", "Kastel")
FIRM_ENDS = ("Corp", "Foods", "Airlines", "Bank", "Motors", "Media")
PRODUCT_STEMS = ("Nova", "Pixon", "Glide", "Aero", "Lumo", "Zip", "Orbit", "Mini")
PRODUCT_ENDS = ("Phone", "Pad", "Watch", "Mix", "Cam", "Bike")
NUMBERS = ("2", "3", "5", "7", "9")
WORK_STARTS = ("The", "My", "Our", "A")
WORK_MIDDLES = ("Last", "Silent", "Golden", "Broken", "Hidden", "Second", "Long", "Crooked")
WORK_ENDS = ("Garden", "River", "Summer", "Letter", "Crown", "Road", "Island", "Winter")
BAND_MIDDLES = ("Velvet", "Midnight", "Electric", "Paper", "Wild", "Rolling", "Blue")
BAND_ENDS = ("Foxes", "Tigers", "Lanterns", "Pilots", "Sirens", "Rangers", "Owls")

OPENERS = ("honestly", "lol", "so", "wow", "ok", "today", "btw", "finally", "ugh")
CLOSERS = (".", "!", "...", "again .", "this morning .", "last night .", "for real !", ":)")
ADJECTIVES = ("great", "awful", "expensive", "brilliant", "slow", "nice", "boring", "broken")

# Slots name a type; `{adjective}` is a word of no type. What stands between tells the types apart.
TEMPLATES = (
    "{person} moved to {location} with {person}",
    "{person} works for {corporation} in {location}",
    "{corporation} hired {person}",
    "i met {person} at the {corporation} office in {location}",
    "{person} and i watched {creative-work}",
    "have you read {creative-work} by {person} ?",
    "the new {product} by {corporation} is {adjective}",
    "my {product} died in {location}",
    "{person} sold his {product} to {person}",
    "saw {group} live in {location} with {person}",
    "{group} just released {creative-work}",
    "{group} beat the team from {location}",
    "shares of {corporation} fell after the {product} recall",
    "flying to {location} with {corporation}",
    "the airport in {location} is {adjective}",
    "{creative-work} is a {adjective} movie",
    "{person} sings for {group} now",
    "tickets for {group} in {location} are {adjective}",
    "{corporation} opens a factory near {location}",
    "thanks {person} for the {product}",
    "my boss {person} says the {product} is {adjective}",
    "we all love {location} and {group}",
)
