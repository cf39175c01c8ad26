"""Films as FFmpeg shows them, and data sets made of them."""
