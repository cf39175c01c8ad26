"""The live page: one HTML file in which a run's nets run in the browser, with nothing else needed."""
