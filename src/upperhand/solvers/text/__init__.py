"""Methods for problems of texts, one file a method: each asks a person in the middle of an update."""

from upperhand.solvers.text.alternating import alternating as alternating
from upperhand.solvers.text.buffered import buffered as buffered
from upperhand.solvers.text.direct import direct as direct
from upperhand.solvers.text.frozen import frozen as frozen
from upperhand.solvers.text.joint import joint as joint
from upperhand.solvers.text.two_stream import two_stream as two_stream
