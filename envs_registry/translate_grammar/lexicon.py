"""The words of both languages, English to Spanish, with the forms that agreement needs."""

from __future__ import annotations

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun: English plural, Spanish singular and plural, gender "m" or "f"."""

    plural_en: str
    singular: str
    plural: str
    gender: str


class Determiner(NamedTuple):
    """What stands before a noun: whether it makes a plural, and its two genders in Spanish."""

    is_plural: bool
    masculine: str
    feminine: str


NOUNS: dict[str, Noun] = {
    "house": Noun("houses", "casa", "casas", "f"),
    "car": Noun("cars", "coche", "coches", "m"),
    "book": Noun("books", "libro", "libros", "m"),
    "table": Noun("tables", "mesa", "mesas", "f"),
    "door": Noun("doors", "puerta", "puertas", "f"),
    "dog": Noun("dogs", "perro", "perros", "m"),
    "cat": Noun("cats", "gato", "gatos", "m"),
    "boat": Noun("boats", "barco", "barcos", "m"),
    "chair": Noun("chairs", "silla", "sillas", "f"),
    "letter": Noun("letters", "carta", "cartas", "f"),
    "key": Noun("keys", "llave", "llaves", "f"),
    "tree": Noun("trees", "árbol", "árboles", "m"),
    "box": Noun("boxes", "caja", "cajas", "f"),
    "flower": Noun("flowers", "flor", "flores", "f"),
    "apple": Noun("apples", "manzana", "manzanas", "f"),
    "shoe": Noun("shoes", "zapato", "zapatos", "m"),
    "plate": Noun("plates", "plato", "platos", "m"),
    "picture": Noun("pictures", "foto", "fotos", "f"),
}

# Masculine and feminine singular; the plural adds "s", or "es" after a consonant.
ADJECTIVES: dict[str, tuple[str, str]] = {
    "red": ("rojo", "roja"),
    "white": ("blanco", "blanca"),
    "black": ("negro", "negra"),
    "yellow": ("amarillo", "amarilla"),
    "old": ("viejo", "vieja"),
    "new": ("nuevo", "nueva"),
    "small": ("pequeño", "pequeña"),
    "expensive": ("caro", "cara"),
    "cheap": ("barato", "barata"),
    "clean": ("limpio", "limpia"),
    "green": ("verde", "verde"),
    "big": ("grande", "grande"),
    "blue": ("azul", "azul"),
}

DETERMINERS: dict[str, Determiner] = {
    "a": Determiner(False, "un", "una"),
    "the": Determiner(False, "el", "la"),
    "this": Determiner(False, "este", "esta"),
    "my": Determiner(False, "mi", "mi"),
    "these": Determiner(True, "estos", "estas"),
    "some": Determiner(True, "unos", "unas"),
    "many": Determiner(True, "muchos", "muchas"),
    "all the": Determiner(True, "todos los", "todas las"),
}
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMEROS = ("dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez")
DETERMINERS |= {
    en: Determiner(True, es, es) for en, es in zip(NUMBERS, _NUMEROS, strict=True)
}  # fmt: skip

# English to Spanish, and the person: 0 "I", 1 "he" or "she", 2 "we", 3 "they".
SUBJECTS: dict[str, tuple[str, int]] = {
    "I": ("", 0),
    "we": ("", 2),
    "Maria": ("María", 1),
    "Pedro": ("Pedro", 1),
    "my sister": ("mi hermana", 1),
    "my father": ("mi padre", 1),
    "the doctor": ("la doctora", 1),
    "the king": ("el rey", 1),
    "my friends": ("mis amigos", 3),
    "the students": ("los alumnos", 3),
    "the women": ("las mujeres", 3),
}

# Past tense of each person, in the order of `SUBJECTS`.
VERBS: dict[str, tuple[str, str, str, str]] = {
    "bought": ("compré", "compró", "compramos", "compraron"),
    "sold": ("vendí", "vendió", "vendimos", "vendieron"),
    "found": ("encontré", "encontró", "encontramos", "encontraron"),
    "painted": ("pinté", "pintó", "pintamos", "pintaron"),
    "lost": ("perdí", "perdió", "perdimos", "perdieron"),
    "saw": ("vi", "vio", "vimos", "vieron"),
    "wanted": ("quise", "quiso", "quisimos", "quisieron"),
}

MONTHS: dict[str, str] = {
    "January": "enero", "February": "febrero", "March": "marzo", "April": "abril", "May": "mayo",
    "June": "junio", "July": "julio", "August": "agosto", "September": "septiembre",
    "October": "octubre", "November": "noviembre", "December": "diciembre",
}  # fmt: skip
CITIES: dict[str, str] = {
    "Madrid": "Madrid", "Seville": "Sevilla", "London": "Londres", "Rome": "Roma", "Lima": "Lima",
    "Paris": "París",
}  # fmt: skip
MAX_DAY, MAX_PRICE = 28, 99
