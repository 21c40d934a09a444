"""Public folder layouts, read into a case table. Originals are only read; what must be converted goes elsewhere."""
