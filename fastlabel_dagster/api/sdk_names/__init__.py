class SdkNames:
    pass
