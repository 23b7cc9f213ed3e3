"""Work on other machines. The local engine is the library itself; :mod:`cofactor.engines.spark` needs the extra."""
