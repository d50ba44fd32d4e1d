"""Results as one HTML file that needs nothing else: tables, figures, and every pair behind a number."""
