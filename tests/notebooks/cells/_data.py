# %% the table that every script here starts from: small, drawn from a fixed generator
from fastai.tabular.all import *
from fastai.collab import *
_r = np.random.RandomState(7)
_n = 1500
_u, _m = _r.randint(1, 61, _n), _r.randint(1, 41, _n)
_t = _r.normal(0, 1, (61, 3)), _r.normal(0, 1, (41, 3))
_s = np.clip(np.rint(3.3 + 0.7 * (_t[0][_u] * _t[1][_m]).sum(1) + 0.4 * _r.normal(size=_n)), 1, 5).astype(int)
ratings = pd.DataFrame({"user": _u, "movie": _m, "rating": _s, "timestamp": 880000000 + _r.randint(0, 10**6, _n)})
movies = pd.DataFrame({"movie": range(1, 41), "title": [f"Film {i:02d} ({1950 + i})" for i in range(1, 41)]})
