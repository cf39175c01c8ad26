"""What came out, to be looked at: pictures, videos, tables, a page."""
