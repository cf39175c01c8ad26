"""The exact predictors of worlds whose making is known, and the floor where only a bound is."""
