"""Results to look at: pictures, videos, tables, a page."""
