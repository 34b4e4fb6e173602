"""The course's shared module: ``import d2l`` comes first in every notebook.

It prepares MXNet for today's NumPy and Python (:mod:`d2l.compat`) and offers what two sections or
more use, one topic a module; imports run one way, from `compat` to `explore`.
"""

from d2l import compat  # noqa: F401  (before anything else imports MXNet)
from d2l import data, grid, plotting, polynomials, training
from d2l.data import *
from d2l.explore import *
from d2l.explore import __all__ as _explore
from d2l.grid import *
from d2l.plotting import *
from d2l.polynomials import *
from d2l.training import *

# The function d2l.explore hides the module of the same name: d2l.explore(...) is what authors write.
__all__ = [*data.__all__, *polynomials.__all__, *training.__all__, *plotting.__all__,
           *grid.__all__, *_explore]
