"""The radiomics baseline: standard hand-made features of CT and CTA, and a linear classifier."""
