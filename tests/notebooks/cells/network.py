# %% ties of a network as ratings: one table for both ends, values kept in forward, numbers of few bits, hooks
set_seed(17); edges = ratings.rename(columns={'user': 'src', 'movie': 'dst', 'rating': 'w'})[['src', 'dst', 'w']].assign(w=lambda d: d.w / 5); edges['dst'] += 20; nodes = sorted(set(edges.src) | set(edges.dst)); len(nodes)
# %%
both = pd.concat([edges, edges.rename(columns={'src': 'dst', 'dst': 'src'})], ignore_index=True)[['src', 'dst', 'w']].drop_duplicates(['src', 'dst']); dls = CollabDataLoaders.from_df(both, user_name='src', item_name='dst', rating_name='w', bs=128, seed=2, shuffle=False); len(dls.classes['src']) == len(dls.classes['dst']), dls.one_batch()[1].dtype
# %%
class CollabNN(Module):
    predictions, calls = {}, 0
    def __init__(self, sz, y_range=(0, 1.1), n_act=20):
        self.node_factors = Embedding(*sz); self.layers = nn.Sequential(nn.Linear(2 * sz[1], n_act), nn.ReLU(), nn.Linear(n_act, 1)); self.y_range = y_range; self.prediction = None
    def forward(self, x):
        keep = torch.clone(x); embs = self.node_factors(x[:, 0]), self.node_factors(x[:, 1]); x = self.layers(torch.cat(embs, dim=1)); self.prediction = sigmoid_range(x, *self.y_range); CollabNN.calls += 1
        for i in range(min(3, len(x))): CollabNN.predictions[(int(keep[i][0]), int(keep[i][1]))] = float(self.prediction[i])
        return self.prediction
    def get_predictions(self): return self.prediction
m = CollabNN((len(dls.classes['src']), 8)); learn = Learner(dls, m, loss_func=MSELossFlat()); learn.fit(1, 5e-3, wd=.1); exact_calls = CollabNN.calls; m.get_predictions().shape, len(CollabNN.predictions) > 3
# %%
learn.get_preds()[0].shape, learn.loss_func(*learn.get_preds()).ndim
# %%
def quantize(t, bits=4): s = t.abs().max(); return (t / s * 2 ** bits).round() / 2 ** bits * s
with torch.no_grad(): q = deepcopy(m); q.node_factors.weight.copy_(quantize(q.node_factors.weight))
ql = Learner(dls, q, loss_func=MSELossFlat()); a, b = float(learn.validate()[0]), float(ql.validate()[0]); abs(a - b) < .1, q.node_factors.weight.unique().numel() <= 40
# %%
dq = m.half().float(); dq(dls.one_batch()[0]).shape
# %%
grads = {}
hk = m.node_factors.register_full_backward_hook(lambda mod, gi, go: grads.setdefault('e', []).append(go[0].shape)); l = Learner(dls, m, loss_func=MSELossFlat()); l.fit(1, 1e-3); hk.remove(); len(grads['e']) > 0, grads['e'][0]
# %%
with hook_output(m.layers[0]) as h: _ = m(dls.one_batch()[0]); h.stored.shape
# %%
with Hooks(m.layers, lambda mod, i, o: (o.mean().item(), o.std().item())) as hs: m(dls.one_batch()[0]); [len(x.stored) for x in hs]
# %%
l = Learner(dls, CollabNN((len(dls.classes['src']), 4)), loss_func=MSELossFlat(), cbs=ActivationStats(with_hist=True)); l.fit(1, 1e-3); l.activation_stats.stats.shape if hasattr(l.activation_stats.stats, 'shape') else len(l.activation_stats.stats), l.activation_stats.layer_stats(0).shape if hasattr(l.activation_stats.layer_stats(0), 'shape') else len(l.activation_stats.layer_stats(0))
# %%
l.activation_stats.plot_layer_stats(0); l.activation_stats.color_dim(0); plt.close('all')
# %%
class Graph(nn.Module):
    "mean of neighbours, once"
    def __init__(self, n, k, A): super().__init__(); self.e = nn.Embedding(n, k); nn.init.xavier_uniform_(self.e.weight); self.register_buffer('A', A); self.lin = nn.Linear(k, k)
    def forward(self, x): z = torch.relu(self.lin(self.A @ self.e.weight)) + self.e.weight; return (z[x[:, 0]] * z[x[:, 1]]).sum(-1)
it = dls.train_ds.items; n = len(dls.classes['src']); A = torch.zeros(n, n); A[it.src.values, it.dst.values] = 1.; A = A / A.sum(1, keepdim=True).clamp(min=1)
g = Graph(n, 6, A); gl = Learner(dls, g, loss_func=MSELossFlat(), metrics=[mse]); gl.fit_one_cycle(1, 1e-2); gl.model.A.shape, [k for k in gl.model.state_dict()]
# %%
As = A.to_sparse(); gs = Graph(n, 6, As); gs.load_state_dict({**gs.state_dict(), 'e.weight': g.e.weight, 'lin.weight': g.lin.weight, 'lin.bias': g.lin.bias}); x = dls.one_batch()[0]; torch.allclose(gs(x), g(x), atol=1e-4)
# %%
gl2 = Learner(dls, gs, loss_func=MSELossFlat()); gl2.fit(1, 1e-3); gl2.validate()
# %%
def contrastive(pred, targ, margin=.2): t = targ.squeeze().float(); d = pred[:, None] - pred[None]; s = (t[:, None] - t[None]).sign(); return F.relu(margin - d * s)[s != 0].mean()
cl = Learner(dls, Graph(n, 6, A), loss_func=contrastive, metrics=[lambda p, t: float(spearman(p, t)) if 'spearman' in globals() else (p * t.squeeze()).mean()]); cl.fit(1, 1e-2); cl.recorder.metric_names[3]
# %%
class TwoHeads(nn.Module):
    def __init__(self, n, k=6): super().__init__(); self.e = nn.Embedding(n, k); self.score = nn.Bilinear(k, k, 1); self.var = nn.Linear(2 * k, 1)
    def forward(self, x): a, b = self.e(x[..., 0]), self.e(x[..., 1]); return self.score(a, b), F.softplus(self.var(torch.cat((a, b), -1))) + 1e-3
def nll(out, y): mu, v = out; return (torch.log(v) + (y - mu) ** 2 / v).mean()
def mu_mae(out, y): return (out[0] - y).abs().mean()
tl = Learner(dls, TwoHeads(n), loss_func=nll, metrics=mu_mae); tl.fit(1, 1e-2); p, t = tl.get_preds(); type(p).__name__, [o.shape for o in p], tl.recorder.metric_names
# %%
import copy; base = copy.deepcopy(m.state_dict()); alpha = torch.linspace(0, 1, 3); ls = []
other = CollabNN((n, 8)).state_dict()
for al in alpha: m.load_state_dict({k: (1 - al) * base[k] + al * other[k] for k in base}); ls.append(float(learn.validate()[0]))
plt.plot(alpha, ls); plt.close(); len(ls), all(v > 0 for v in ls)
# %%
par = {n_: p.numel() for n_, p in m.named_parameters()}; sum(par.values()), total_params(m), nn.utils.parameters_to_vector(m.parameters()).shape
# %%
nn.utils.prune = __import__('torch.nn.utils.prune', fromlist=['x']); nn.utils.prune.l1_unstructured(m.layers[0], 'weight', .5); float((m.layers[0].weight == 0).float().mean()), learn.validate()[0] > 0, nn.utils.prune.remove(m.layers[0], 'weight')
# %%
apply_init(m, nn.init.kaiming_normal_) if 'apply_init' in globals() else None; m.apply(lambda mod: nn.init.zeros_(mod.bias) if isinstance(mod, nn.Linear) else None); [k for k, v in m.named_modules()]
