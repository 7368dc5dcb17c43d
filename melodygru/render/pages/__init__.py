"""Pages of HTML that need nothing but themselves: what a folder holds, how a model reads a piece, how alike sets are.

A page has no scripts and fetches nothing. It follows the reader's choice of light or dark, and what is wider than the
window is moved sideways by itself. Pages are templates, in which everything that comes from outside is text.
"""
