# %% loaders of one's own: subclasses and functions in place of their pieces, attributes set afterwards
set_seed(3); to = TabularCollab(ratings, [Categorify], ['user', 'movie'], y_names=['rating'], y_block=TransformBlock(), splits=RandomSplitter(seed=1)(ratings))
def made(cls, **kw):
    dls = to.dataloaders(bs=64, dl_type=cls, **kw); l = collab_learner(dls, n_factors=3, y_range=(0, 5.5))
    with torch.no_grad():
        for i, p in enumerate(l.model.parameters()): p.copy_(torch.cos(torch.arange(p.numel()).float() * .7 + i).view_as(p) * .2)
    with l.no_bar(), l.no_logging(): l.fit(1, 1e-2)
    return l
def rows(l): return [[float(v) for v in r] for r in l.recorder.values]
len(to.train)
# %%
from fastai.tabular.core import TabDataLoader
Tab = TabDataLoader; Tab.__name__
# %%
class Backwards(Tab):
    def shuffle_fn(self, idxs): return sorted(idxs, reverse=True)
l = made(Backwards); close_backwards = rows(l); exact_first = l.dls.train.one_batch()[0][:3].tolist()
# %%
class Few(Tab):
    def get_idxs(self): return list(range(self.n))[:130]
l = made(Few, drop_last=False); close_few = rows(l); len(list(l.dls.train)), l.dls.train.one_batch()[0].shape
# %%
class Counted(Tab):
    def create_batch(self, b): self.seen = getattr(self, 'seen', 0) + 1; return super().create_batch(b)
l = made(Counted, shuffle=False); close_counted = rows(l); l.dls.train.seen > 18, l.dls.valid.seen > 4
# %%
class Around(Tab):
    def before_iter(self): self.k = getattr(self, 'k', 0) + 1; super().before_iter()
    def after_iter(self): self.a = getattr(self, 'a', 0) + 1; super().after_iter()
l = made(Around, shuffle=False); close_around = rows(l); l.dls.train.k > 0, l.dls.train.a > 0, l.dls.valid.k > 0
# %%
class Zero(Tab):
    def __iter__(self):
        for x, y in super().__iter__(): yield x, y * 0
l = made(Zero, shuffle=False); close_zero = rows(l); l.get_preds()[1].sum(), l.dls.train.one_batch()[1].sum()
# %%
class Two(Tab):
    def create_batches(self, samps): yield from list(super().create_batches(samps))[:2]
l = made(Two, shuffle=False); close_two = rows(l); len(list(l.dls.train)), len(l.dls.train)
# %%
class Done(Tab):
    def do_batch(self, b): b = super().do_batch(b); self.last = type(b).__name__; return b
l = made(Done, shuffle=False); l.dls.train.last[:7]
# %%
class ByUser(Tab):
    "neighbours of a user in one batch, the users in a fixed order"
    def get_idxs(self): u = self.dataset.items.user.values; return np.lexsort((np.arange(len(u)), (u * 7) % 61)).tolist()
l = made(ByUser); close_by_user = rows(l); x, _ = l.dls.train.one_batch(); x[:, 0].unique().numel() < 10
# %%
class Squares(DataLoader):
    def create_item(self, i): return tensor(i), tensor(float(i)) ** 2
    def shuffle_fn(self, idxs): return idxs[::-1]
first(Squares(list(range(10)), bs=4, shuffle=True)), len(Squares(list(range(10)), bs=4))
# %%
class Doubled(DataLoader):
    def create_batch(self, b): return tensor(b) * 2
    def after_batch(self, b): return b + 1
list(Doubled(list(range(10)), bs=4)), first(Doubled(range(3), bs=2, shuffle=False))
# %%
class Skips(DataLoader):
    def create_item(self, i):
        if i % 3 == 0: raise SkipItemException()
        return i
exact_skips = [b.tolist() for b in Skips(list(range(10)), bs=4)]
# %%
class Lines(DataLoader):
    def do_item(self, s): r = super().do_item(s); return None if r is None or r % 2 else r
[b.tolist() for b in Lines(list(range(9)), bs=2)]
# %%
d = DataLoader(list(range(10)), bs=4, shuffle_fn=lambda idxs: idxs[5:] + idxs[:5], shuffle=True); exact_shuffled = [b.tolist() for b in d]; list(DataLoader(list(range(10)), bs=4).chunkify(range(5))), d.create_batch([1, 2]), sorted(d.shuffle_fn([1, 2, 3])), d.do_item(3), d.do_batch([1, 2])
# %%
list(DataLoader(list(range(6)), bs=4).create_batches(range(5))), d.retain(1, [1]), d.wif(), d.randomize(), d.get_idxs()[:2]
# %%
def count():
    for i in range(7): yield i
[b.tolist() for b in DataLoader(count(), bs=3)], [b.tolist() for b in DataLoader(count(), bs=3, drop_last=True)], list(DataLoader([1, 2, 3], bs=None))
# %%
dls = to.dataloaders(bs=64); dls.bs = 128; dls.bs, dls.train.bs, len(dls.train)
# %%
dls.train.bs = 128; len(dls.train), dls.train.one_batch()[0].shape
# %%
dls.train.shuffle, dls.train.drop_last = False, False; dls.train.n = 100; [len(b[0]) for b in dls.train], len(dls.train)
# %%
class Weighted(Tab):
    "users with few ratings more often"
    def __init__(self, dataset=None, bs=64, wgt=None, **kw): c = dataset.items.user.map(dataset.items.user.value_counts()); self.w = (1 / c).values; super().__init__(dataset, bs=bs, **kw)
    def get_idxs(self): return np.random.RandomState(0).choice(self.n, self.n, p=self.w / self.w.sum()).tolist() if self.shuffle else super().get_idxs()
l = made(Weighted); close_weighted = rows(l); l.dls.train.w.shape
# %%
class Graph(ShowGraphCallback):
    def after_epoch(self): super().after_epoch(); self.seen = getattr(self, 'seen', 0) + 1
class Track(TrackerCallback):
    def after_fit(self): super().after_fit(); self.learn.ended = True
class Bar(ProgressCallback):
    def before_fit(self): super().before_fit(); self.began = True
    def after_batch(self): super().after_batch(); self.k = getattr(self, 'k', 0) + 1
g, b = Graph(), Bar(); l = collab_learner(to.dataloaders(bs=64), n_factors=3, cbs=[g, Track(), b]); l.fit(2, 1e-3); plt.close('all'); g.seen, l.ended, b.began, b.k > 10
# %%
cbs = l.cbs; n = len(cbs); l.remove_cb(g); len(cbs) - n, cbs is l.cbs
# %%
with l.loss_not_reduced(): r = l.loss_func(*[t.float() for t in l.get_preds()])
r.shape, l.loss_func.reduction, l.loss_func.axis, l.loss_func.flatten, l.loss_func.is_2d, l.loss_func.floatify, CrossEntropyLossFlat(label_smoothing=.1).label_smoothing, FocalLossFlat(gamma=3.).gamma, CrossEntropyLossFlat().ignore_index
# %%
names = ratings.merge(movies).title.unique(); best = l.get_preds()[0].flatten().topk(3).indices % len(names); [names[i] for i in best].__len__(), names[best[0]][:4], names.reshape(-1, 1).shape, movies.title.values[:, None].shape
