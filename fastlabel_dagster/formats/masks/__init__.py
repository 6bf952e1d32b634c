"""Index masks: PNG images whose pixel values are the numbers of classes (``semantic``) or of objects (``instance``)."""
