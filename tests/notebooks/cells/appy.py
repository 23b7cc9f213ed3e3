# %% an application: functions for a form, a table of posters, cold start, feedback, a small "API"
films = movies.assign(poster=lambda d: 'http://img/' + d.movie.astype(str) + '.jpg', genres='Drama|Comedy'); df = ratings.merge(films[['movie', 'title']]); df.head()
# %%
dls = CollabDataLoaders.from_df(df, user_name='user', item_name='title', rating_name='rating', bs=64, seed=7); learn = collab_learner(dls, n_factors=15, y_range=(0, 5.5), metrics=[rmse]); learn.fit_one_cycle(3, 5e-3, wd=.1)
# %%
def popular(n=5, min_ratings=5):
    s = df.groupby('title').rating.agg(['mean', 'size']); return s[s['size'] >= min_ratings].nlargest(n, 'mean').reset_index()
popular()
# %%
title2idx = {t: i for i, t in enumerate(dls.classes['title'])}; idx2title = {i: t for t, i in title2idx.items()}; title2idx['#na#'], len(idx2title)
# %%
item_factors = learn.model.i_weight.weight.data.clone(); item_bias = learn.model.i_bias.weight.data.squeeze().clone(); item_factors.requires_grad, item_bias.shape
# %%
def embed_user(liked, disliked=()):
    v = torch.zeros(item_factors.shape[1])
    if liked: v += item_factors[[title2idx[t] for t in liked]].mean(0)
    if disliked: v -= item_factors[[title2idx[t] for t in disliked]].mean(0)
    return v
def recommend_for(liked, disliked=(), n=5):
    s = item_factors @ embed_user(liked, disliked) + item_bias
    s[[title2idx[t] for t in [*liked, *disliked]] + [0]] = -float('inf')
    top = s.topk(n); return [(idx2title[i.item()], round(v.item(), 3)) for v, i in zip(top.values, top.indices)]
recommend_for(['Film 01 (1951)', 'Film 02 (1952)'])
# %%
recommend_for(['Film 01 (1951)'], ['Film 09 (1959)'], 3), recommend_for([], [], 2)
# %%
def fit_new_user(rated, epochs=30, lr=.1, wd=.02):
    "one row learned by gradient, everything else fixed"
    idx = tensor([title2idx[t] for t in rated]); y = tensor([float(v) for v in rated.values()])
    u, b = torch.zeros(item_factors.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    opt = torch.optim.Adam([u, b], lr=lr, weight_decay=wd)
    for _ in range(epochs):
        opt.zero_grad(); p = sigmoid_range(item_factors[idx] @ u + item_bias[idx] + b, 0, 5.5)
        loss = F.mse_loss(p, y); loss.backward(); opt.step()
    return u.detach(), b.detach(), loss.item()
u, b, loss = fit_new_user({'Film 01 (1951)': 5, 'Film 02 (1952)': 1, 'Film 03 (1953)': 4}); u.shape, b.shape, loss < 5
# %%
s = sigmoid_range(item_factors @ u + item_bias + b, 0, 5.5); pd.Series(s.numpy(), index=list(dls.classes['title'])).drop('#na#').nlargest(3)
# %%
A = item_factors[1:11]; ridge = torch.linalg.solve(A.T @ A + torch.eye(A.shape[1]), A.T @ torch.ones(10)); ridge.shape
# %%
lst = torch.linalg.lstsq(A.T, torch.ones(A.shape[1])).solution; lst.shape
# %%
def nearest_user(r): v = torch.zeros(len(title2idx)); v[[title2idx[t] for t in r]] = tensor(list(r.values())).float(); M = torch.zeros(len(dls.classes['user']), len(title2idx)); it = dls.train_ds.items; M[it.user.values, it.title.values] = tensor(it.rating.values).float(); return int(F.cosine_similarity(M[1:], v[None]).argmax()) + 1
bool(bool(dls.classes['user'][nearest_user({'Film 01 (1951)': 5.})] > 0))
# %%
class Dropdown:
    def __init__(self, choices, label=''): self.choices, self.label = choices, label
class Interface:
    def __init__(self, fn, inputs, outputs, title=''): self.fn, self.inputs, self.outputs = fn, inputs, outputs
    def launch(self, **k): return self
    def __call__(self, *a): return self.fn(*a)
def classify(title, n): return {t: s for t, s in recommend_for([title], n=int(n))}
iface = Interface(fn=classify, inputs=[Dropdown(sorted(list(dls.classes['title'])[1:])), 'slider'], outputs='label', title='Films').launch(inline=False); list(iface('Film 10 (1960)', 3).values())
# %%
def html_table(recs): return '<table>' + ''.join(f"<tr><td><img src='{films.set_index('title').poster[t]}'></td><td>{t}</td><td>{s}</td></tr>" for t, s in recs) + '</table>'
html_table(recommend_for(['Film 01 (1951)'])).count('<tr>')
# %%
HTML = SimpleNamespace
HTML(data=html_table(recommend_for(["Film 01 (1951)"]))).data[:7]
# %%
def api(body):
    try:
        q = json.loads(body); user = q['user']
        if user not in dls.classes['user'].o2i: return json.dumps({'error': 'unknown user', 'popular': popular(3).title.tolist()})
        d = pd.DataFrame({'user': [user] * len(title2idx), 'title': list(title2idx)})[1:]
        with learn.no_bar(): p = learn.get_preds(dl=learn.dls.test_dl(d))[0].view(-1)
        return json.dumps({'user': user, 'recs': [d.title.iloc[i] for i in p.argsort(descending=True)[:3].tolist()]})
    except (KeyError, ValueError) as e: return json.dumps({'error': repr(e)})
json.loads(api('{"user": 3}')).keys(), json.loads(api('{"user": 999}')).keys(), json.loads(api('x')).keys()
# %%
feedback = pd.DataFrame({'user': [3, 3], 'title': ['Film 11 (1961)', 'Film 12 (1962)'], 'rating': [5, 1]}); both = pd.concat([df, feedback], ignore_index=True); dls2 = CollabDataLoaders.from_df(both, item_name='title', bs=64, seed=7); len(dls2.train_ds) + len(dls2.valid_ds) - len(df)
# %%
learn2 = collab_learner(dls2, n_factors=15, y_range=(0, 5.5)); learn2.model.u_weight.load_state_dict(learn.model.u_weight.state_dict())
# %%
learn2.fit(1, 1e-4); (learn2.model.u_weight.weight - learn.model.u_weight.weight).abs().max().item() < 1
# %% a new user and a new film in the table: more rows, the old weights kept
more = pd.concat([both, pd.DataFrame({'user': [61] * 3, 'title': ['Film 01 (1951)', 'Film 02 (1952)', 'Brand New (2024)'], 'rating': [5, 4, 3]})], ignore_index=True); dls3 = CollabDataLoaders.from_df(more, item_name='title', valid_pct=.1, bs=64, seed=7); learn3 = collab_learner(dls3, n_factors=15, y_range=(0, 5.5))
old, new = learn2.model, learn3.model; n_old = len(dls2.classes['user'])
with torch.no_grad():
    for o, t in enumerate(dls2.classes['title']):
        if t in dls3.classes['title'].o2i: new.i_weight.weight[dls3.classes['title'].o2i[t]] = old.i_weight.weight[o]; new.i_bias.weight[dls3.classes['title'].o2i[t]] = old.i_bias.weight[o]
    new.u_weight.weight[:n_old] = old.u_weight.weight; new.u_weight.weight[n_old:] = old.u_weight.weight[1:].mean(0)
torch.equal(learn3.model.u_weight.weight[:n_old], old.u_weight.weight)
# %%
for n, p in learn3.model.named_parameters(): p.requires_grad_(n.startswith('u_'))
before = learn3.model.i_weight.weight.clone(); learn3.fit(1, 1e-2); torch.equal(before, learn3.model.i_weight.weight)
# %%
[p.requires_grad for p in learn3.model.parameters()]
# %%
import functools, time
@functools.lru_cache(maxsize=32)
def cached(user): return tuple(json.loads(api(json.dumps({'user': user})))['recs'])
cached(4) == cached(4), cached.cache_info().hits
# %%
def diversify(cands, lam=.5, n=3):
    "maximal marginal relevance"
    f = F.normalize(item_factors, dim=1); chosen = []; cands = dict(cands)
    while len(chosen) < n and cands:
        best = max(cands, key=lambda t: lam * cands[t] - (1 - lam) * max([float(f[title2idx[t]] @ f[title2idx[c]]) for c in chosen], default=0)); chosen.append(best); cands.pop(best)
    return chosen
diversify(recommend_for(['Film 01 (1951)'], n=10))
# %%
def explain(user, title): ui, ti = dls.classes['user'].o2i[user], title2idx[title]; m = learn.model; return {'user bias': m.u_bias.weight[ui].item(), 'item bias': m.i_bias.weight[ti].item(), 'dot': (m.u_weight.weight[ui] * m.i_weight.weight[ti]).sum().item()}
e = explain(3, 'Film 11 (1961)'); p = learn.predict(pd.Series({'user': 3, 'title': 'Film 11 (1961)'}))[2].item(); abs(5.5 / (1 + np.exp(-sum(e.values()))) - p) < 1e-3
# %%
pd.Series(e).plot.barh(); plt.close()
# %%
words = L('Film 1', 'film 05', 'zzz'); words.map(lambda q: [t for t in dls.classes['title'] if q.lower() in t.lower()][:2])
# %%
import difflib; difflib.get_close_matches('Fim 07 (1957', list(dls.classes['title']), n=1)
# %%
learn.export(Path('app_model.pkl')); l = load_learner(Path('app_model.pkl')); l.dls.classes['title'].o2i['Film 01 (1951)'] == title2idx['Film 01 (1951)'], l.model.training
# %%
l.model.bias(['Film 01 (1951)'], is_item=True) if hasattr(l.model, 'classes') else None
# %%
type(l.model), l.model.y_range, l.y_range
# %%
def batch_score(users, titles): x = torch.cartesian_prod(tensor([dls.classes['user'].o2i[u] for u in users]), tensor([title2idx[t] for t in titles])); return l.model(x).view(len(users), len(titles))
batch_score([1, 2, 3], ['Film 01 (1951)', 'Film 02 (1952)']).shape
# %%
pd.DataFrame(to_np(batch_score([1, 2], list(dls.classes['title'])[1:5])), index=[1, 2], columns=list(dls.classes['title'])[1:5]).style.format('{:.2f}').to_html()[:6]
# %%
groups = {'family': [1, 2, 3]}; least_misery = batch_score(groups['family'], list(title2idx)[1:]).min(0).values; average = batch_score(groups['family'], list(title2idx)[1:]).mean(0); least_misery.shape, bool((average >= least_misery - 1e-6).all())
# %%
app_state = {'model': l, 'titles': list(title2idx)[1:]}; len(app_state['titles']), app_state['model'].dls.vocab if hasattr(l.dls, 'vocab') and False else None
# %%
log = []
for i in range(3): log.append({'ts': i, 'user': i + 1, 'shown': cached(i + 1)})
pd.DataFrame(log).explode('shown').shape
# %%
threshold = 3.5; liked = batch_score([1], list(title2idx)[1:])[0] > threshold; liked.dtype, liked.sum().item() >= 0, [t for t, k in zip(list(title2idx)[1:], liked) if k][:1].__class__
