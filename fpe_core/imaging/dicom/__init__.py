"""DICOM as a PACS exports it: a folder becomes series, a series becomes a volume in RAS+ mm."""
