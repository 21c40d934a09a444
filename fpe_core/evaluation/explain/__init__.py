"""Why a model predicts what it predicts: where it looks, and which clinical columns move it."""
