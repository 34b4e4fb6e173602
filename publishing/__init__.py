"""What turns the chapters into the website and the notebooks.

Each module is one step and can be run by itself, ``python -m publishing.<step>``, in the repository's root;
the Makefile puts them in order.
"""
