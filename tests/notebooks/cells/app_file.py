# %% the file of an application, read top to bottom: caches, forms, searches by part of a title
import functools, json, difflib, re; from pathlib import Path; from typing import List, Dict, Tuple
@functools.lru_cache(maxsize=None)
def load_data():
    r = ratings.rename(columns={'user': 'user_id', 'rating': 'rating'}).merge(movies.rename(columns={'title': 'Anime Title'})); return r[['user_id', 'Anime Title', 'rating']]
score = load_data(); load_data() is score, score.shape
# %%
@functools.lru_cache
def load_model():
    dls = CollabDataLoaders.from_df(score, user_name='user_id', item_name='Anime Title', rating_name='rating', bs=512); learn = collab_learner(dls, n_factors=12, y_range=(0, 5.5))
    try: learn.load('anime_recommender_model', with_opt=False)
    except FileNotFoundError: learn.fit_one_cycle(1, 1e-2); learn.save('anime_recommender_model')
    return learn, dls
learn, dls = load_model(); Path('models/anime_recommender_model.pth').exists()
# %%
load_model.cache_clear(); learn, dls = load_model(); len(dls.classes['Anime Title'].items), dls.classes['Anime Title'].items[0]
# %%
def get_recommendations(q, top_n=5):
    titles = [t.lower() for t in dls.classes['Anime Title'].items]
    if q.lower() not in titles: return ['not found']
    i = titles.index(q.lower()); f = learn.model.i_weight.weight; d = torch.nn.functional.cosine_similarity(f, f[i][None]); return [dls.classes['Anime Title'].items[j] for j in d.argsort(descending=True)[1:top_n + 1]]
get_recommendations('film 02 (1952)').__len__(), get_recommendations('x')
# %%
difflib.get_close_matches('Film 3 (1953)', dls.classes['Anime Title'], n=2).__len__(), [t for t in dls.classes['Anime Title'] if re.search(r'Film 0[1-3]', str(t))]
# %%
torch.save(learn.model.state_dict(), 'anime.pkl'); sd = torch.load('anime.pkl', map_location='cpu'); learn.model.load_state_dict(sd); sorted(sd)
# %%
learn.model.load_state_dict(torch.load('models/anime_recommender_model.pth', weights_only=False, map_location=torch.device('cpu'))['model'])
# %%
liked = ['Film 04 (1954)', 'Film 09 (1959)']; disliked = ['Film 30 (1980)']; vec = learn.model.weight(liked).mean(0) - .5 * learn.model.weight(disliked).mean(0); sim = F.cosine_similarity(learn.model.i_weight.weight, vec[None]); best = [t for t in (dls.classes['Anime Title'][i] for i in sim.argsort(descending=True)) if t not in liked + ['#na#']][:5]; len(best)
# %%
df_emb = pd.DataFrame(learn.model.i_weight.weight.detach().cpu().numpy(), index=list(dls.classes['Anime Title'])); df_emb.to_json('emb.json'); pd.read_json('emb.json').shape
# %%
with open('vocab.json', 'w') as f: json.dump([str(x) for x in dls.classes['Anime Title'] if x != '#na#'], f)
with open('users.json', 'w') as f: json.dump([int(x) for x in dls.classes['user_id'] if x != '#na#'], f)
len(json.load(open('vocab.json'))), json.load(open('users.json'))[:2]
# %%
json.dumps({'preds': learn.get_preds(dl=dls.test_dl(score.head(2)))[0].tolist(), 'n': len(dls.train_ds)}).startswith('{')
# %%
class Recommender:
    "what the web view calls"
    def __init__(self, path): self.learn = load_learner(path); self.items = list(self.learn.dls.classes['Anime Title'])[1:]; self.users = set(self.learn.dls.classes['user_id'])
    def for_user(self, uid: int, n: int = 3) -> List[Dict]:
        if uid not in self.users: raise KeyError(f'unknown user {uid}')
        d = pd.DataFrame({'user_id': [uid] * len(self.items), 'Anime Title': self.items}); p = self.learn.get_preds(dl=self.learn.dls.test_dl(d))[0]; d['score'] = p.numpy(); return d.nlargest(n, 'score')[['Anime Title', 'score']].to_dict('records')
learn.export('export.pkl'); r = Recommender('export.pkl'); out = r.for_user(5); len(out), sorted(out[0]), type(out[0]['score']).__name__
# %%
try: r.for_user(10 ** 6)
except KeyError as e: print(e)
load_learner(Path('export.pkl')).dls.classes.keys(), load_learner('export.pkl').dls.device.type, os.path.exists('export.pkl')
# %%
r.learn.predict(score.iloc[0])[0].shape if hasattr(r.learn.predict(score.iloc[0])[0], 'shape') else 0, float(r.learn.predict(score.iloc[4])[1]) == float(r.learn.predict(score.iloc[4])[2])
# %%
r.learn.model.eval()
with torch.inference_mode(): z = r.learn.model(torch.tensor([[1, 2], [3, 4]]))
z.shape, z.dtype, z.tolist().__len__(), z.cpu().numpy().round(1).shape
# %%
one = pd.DataFrame([{'user_id': 3, 'Anime Title': 'Film 08 (1958)'}]); float(r.learn.get_preds(dl=r.learn.dls.test_dl(one))[0][0]) > 0, r.learn.get_preds(dl=r.learn.dls.test_dl(one))[0].item() > 0
# %%
feedback = pd.DataFrame({'user_id': [3, 3], 'Anime Title': best[:2], 'rating': [5, 4]}); upd = pd.concat([score, feedback]).drop_duplicates(['user_id', 'Anime Title'], keep='last'); d2 = CollabDataLoaders.from_df(upd, user_name='user_id', item_name='Anime Title', rating_name='rating', bs=512, valid_pct=.1, seed=0); l2 = collab_learner(d2, n_factors=12, y_range=(0, 5.5)).load('anime_recommender_model', with_opt=False); l2.fine_tune(1, 1e-3); len(l2.recorder.values)
# %%
l2.dls.train.n + l2.dls.valid.n == len(upd), l2.model_dir, l2.path
# %%
html = score.head(3).to_html(index=False); '<table' in html, score.sample(2, random_state=0).to_dict('list').keys(), score.groupby('Anime Title').rating.agg(['mean', 'size']).query('size > 20').index.tolist().__len__() >= 0
# %%
def evaluate(learn, k=5, thr=4):
    v = learn.dls.valid_ds.items.copy(); v['pred'] = learn.get_preds()[0].numpy(); hits = rec = 0
    for u, g in v.groupby('user_id'): top = g.sort_values('pred', ascending=False).head(k); rel = g[g.rating >= thr]; hits += (top.rating >= thr).sum() / k; rec += len(set(top.index) & set(rel.index)) / max(len(rel), 1)
    return hits / v.user_id.nunique(), rec / v.user_id.nunique()
[0 <= float(e) <= 1 for e in evaluate(learn)]
