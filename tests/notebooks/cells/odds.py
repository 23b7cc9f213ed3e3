# %% odds and ends people write
import logging, argparse, textwrap
logging.basicConfig(level=logging.INFO); logger = logging.getLogger("cf"); logger.info("start")
args = argparse.Namespace(epochs=1, lr=5e-3, factors=8); vars(args)
# %%
set_seed(42, reproducible=True); dls = CollabDataLoaders.from_df(ratings, item_name="movie", bs=128, seed=42); exact_valid = dls.valid_ds.items.index[:8].tolist(); exact_valid
# %%
learn = collab_learner(dls, n_factors=args.factors, y_range=(0, 5.5), metrics=rmse, cbs=[CSVLogger(), SaveModelCallback(monitor="_rmse"), ShowGraphCallback]); learn.fit_one_cycle(args.epochs, args.lr)
# %%
learn.csv_logger.read_log().columns.tolist(), learn.csv_logger.path if hasattr(learn.csv_logger, "path") else None
# %%
learn.save_model.best, learn.save_model.fname, learn.save_model.monitor
# %%
learn.show_graph if hasattr(learn, "show_graph") else [c.name for c in learn.cbs]
# %%
class PrintCB(Callback):
    "prints"
    def after_epoch(self): print(f"{self.epoch}: {self.recorder.log[1]:.3f}"[:2])
learn.fit(2, 1e-3, cbs=PrintCB)
# %%
PrintCB(), repr(PrintCB()), PrintCB.__doc__, PrintCB().name, PrintCB.order
# %%
learn.recorder.log, learn.recorder.values[-1], type(learn.recorder.values[-1]).__name__
# %%
before = learn.validate(); learn.load("model"); after = learn.validate(); len(before), len(after)
# %%
cbs = L(EarlyStoppingCallback(), ReduceLROnPlateau(factor=2.)); cbs.map(lambda c: c.name), cbs[0].patience, cbs[1].min_lr, cbs[0].comp
# %%
try: learn.fit(1, cbs=[EarlyStoppingCallback(monitor="nope")])
except Exception as e: print(type(e).__name__)
# %%
try: learn.load("does_not_exist")
except FileNotFoundError as e: print("missing")
# %%
try: learn.model(torch.tensor([[1000, 1]]))
except IndexError as e: print("index", str(e)[:30])
# %%
try: learn.model.bias(["nobody"], is_item=True)
except KeyError as e: print("key")
# %%
try: dls.classes["movie"].o2i["x"]
except KeyError as e: print("key")
# %%
dls.classes["movie"].o2i.get("x", -1), "x" in dls.classes["movie"].o2i, len(dls.classes["movie"].o2i)
# %%
try: CollabDataLoaders.from_df(ratings, item_name="nope")
except KeyError as e: print("key")
# %%
try: learn.predict(ratings.iloc[0].drop("user"))
except KeyError as e: print("key")
except TypeError as e: print("type")
# %%
torch.save({"epoch": 1, "model": learn.model.state_dict(), "opt": learn.opt.state_dict()}, "ck.pth"); ck = torch.load("ck.pth", weights_only=False); learn.model.load_state_dict(ck["model"]), sorted(ck)
# %%
learn.opt.load_state_dict(ck["opt"]); learn.fit(1, 1e-4); learn.opt.hypers[0].keys()
# %%
m = learn.model; m.u_weight.num_embeddings, m.u_weight.embedding_dim, m.y_range, m.is_item if hasattr(m, "is_item") else None
# %%
m.u_weight.weight.data.mean().abs() < 1, m.u_weight.weight.data.std() < 1, m.u_weight.weight.grad
# %%
x = dls.one_batch()[0]; (m(x) >= 0).all(), m.forward(x).shape, m._get_idx([1, 2]) if hasattr(m, "_get_idx") else None
# %%
class Hybrid(EmbeddingDotBias):
    def forward(self, x): return super().forward(x) * 1.0
h = Hybrid.from_classes(8, dls.classes, y_range=(0, 5.5)) if False else Hybrid(8, 61, 41, (0, 5.5)); l = Learner(dls, h, loss_func=MSELossFlat(), metrics=[rmse]); l.fit(1, 1e-2); type(l.model).__name__
# %%
class Big(EmbeddingNN):
    def forward(self, users, items=None): return super().forward(users)
g = Big(get_emb_sz(dls.train_ds), [16], y_range=(0, 5.5)); l = Learner(dls, g, loss_func=MSELossFlat()); l.fit(1, 1e-2); l.get_preds()[0].shape
# %%
nn.Sequential(*list(learn.model.children())), len(list(learn.model.modules())), [n for n, _ in learn.model.named_children()]
# %%
flatten_model(learn.model), has_params(learn.model) if "has_params" in globals() else None, num_features_model if False else None
# %%
[p.shape for p in trainable_params(learn.model)], L(params(learn.model)).map(lambda p: p.numel()).sum() if hasattr(L, "sum") else sum(p.numel() for p in params(learn.model))
# %%
even_mults(1e-5, 1e-3, 3), sigmoid_range(torch.tensor([0., 1.]), 0, 5), sigmoid(torch.tensor(0.))
# %%
L(1, 2, 3).map(operator.neg), L([1, 2], [3]).concat(), L(range(5))[[1, 3]], L("a", "b").zip() if False else L([1, 2]).zipwith([3, 4]), L(3, 1, 2).sorted(), L(1, 1, 2).unique()
# %%
L([dict(a=1), dict(a=2)]).itemgot("a"), L(1, None, 2).filter(), L(range(4)).reduce(operator.add), L.range(3), L(1, 2) + [3], L([1, 2]).enumerate(), L(range(6)).partition(lambda o: o > 2) if hasattr(L, "partition") else None
# %%
store = type("S", (), {"__init__": lambda self, a, b=2: store_attr(but="b", self=self) if False else setattr(self, "a", a)})(1); store.a
# %%
class C:
    def __init__(self, a, b=2, **kw): store_attr()
C(1, 3).b, basic_repr("a,b")(C(1)) if False else C(5).a
# %%
@patch
def double(self: C): return self.a * 2
C(4).double()
# %%
@patch_to(C)
def triple(self): return self.a * 3
C(4).triple()
# %%
@patch(as_prop=True)
def half(self: C): return self.a / 2
C(4).half
# %%
ifnone(None, 1), listify([1]), tuplify(1), first([2, 3]), nested_attr(learn, "model.u_weight.weight").shape, merge(dict(a=1), dict(b=2)), compose(operator.neg, str)(1), partialler(round, ndigits=1)(1.23)
# %%
p = Path("tmpdir"); p.mkdir(exist_ok=True); (p/"x.csv").write_text("a,b\n1,2"); p.ls(), (p/"x.csv").read_text().splitlines(), p.exists(), p/"y", str(p/"x.csv"), (p/"x.csv").suffix
# %%
Path.cwd().name != "", Path("x.tar.gz").stem, [o.name for o in p.glob("*.csv")]
# %%
with warnings.catch_warnings(): warnings.simplefilter("ignore"); learn.fit(1, 1e-5)
learn.recorder.values[0][0] > 0
# %%
import time as _t
start = _t.time(); learn.get_preds(); _t.time() - start < 60
# %%
fig, ax = plt.subplots(); learn.recorder.plot_loss(ax=ax) if "ax" in learn.recorder.plot_loss.__code__.co_varnames else learn.recorder.plot_loss(); plt.close("all")
# %%
plt.plot(learn.recorder.losses); plt.plot([v[1] for v in learn.recorder.values]); plt.legend(["train", "valid"]); plt.show()
# %%
plt.plot(np.array(L(learn.recorder.values).itemgot(1))); plt.show()
# %%
np.array([o.item() for o in learn.recorder.losses]).shape, torch.stack(learn.recorder.losses).shape, learn.recorder.iters, np.array(learn.recorder.lrs).shape
# %%
pd.DataFrame({"lr": learn.recorder.hps["lr"], "mom": learn.recorder.hps["mom"]}).shape if learn.recorder.hps else None
