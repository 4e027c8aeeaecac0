class SavedAsFolder:
    pass
