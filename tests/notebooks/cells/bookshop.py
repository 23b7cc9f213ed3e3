# %% goodbooks: books table, learner, app
books = movies.rename(columns={"movie": "book_id"}).assign(authors=lambda d: "Author " + (d.book_id % 5).astype(str), average_rating=3.9, image_url="http://x/" + movies.movie.astype(str) + ".jpg")
br = ratings.rename(columns={"movie": "book_id", "user": "user_id"})[["user_id", "book_id", "rating"]]
data = br.merge(books[["book_id", "title", "authors"]], on="book_id")
dls = CollabDataLoaders.from_df(data, user_name="user_id", item_name="title", rating_name="rating", bs=64, seed=11, path="booksapp"); Path("booksapp").mkdir(exist_ok=True); dls.path
# %%
learn = collab_learner(dls, n_factors=16, y_range=(0, 5.5), metrics=[rmse], path="booksapp", cbs=[ShowGraphCallback(), SaveModelCallback(fname="book_model")]); learn.path, learn.model_dir, learn.model_path if hasattr(learn, "model_path") else None
# %%
learn.fit_one_cycle(2, 5e-3, wd=.1)
# %%
(Path("booksapp")/"models").ls().map(lambda p: p.name), [p.name for p in Path("booksapp").iterdir()]
# %%
learn.export("booksapp.pkl"); Path("booksapp/booksapp.pkl").exists(), Path("booksapp").ls(file_exts=".pkl")
# %%
inf = load_learner("booksapp/booksapp.pkl", cpu=True); inf
# %%
def top_rated(n=5): return data.groupby("title").rating.agg(["mean", "count"]).query("count > 5").nlargest(n, "mean").index.tolist()
def recommend(user_id, n=5):
    user_id = int(user_id); known = set(data.loc[data.user_id == user_id, "title"]); cand = [t for t in inf.dls.classes["title"] if t != "#na#" and t not in known]
    dl = inf.dls.test_dl(pd.DataFrame(dict(user_id=user_id, title=cand))); preds = inf.get_preds(dl=dl)[0].squeeze()
    vals, idx = preds.topk(n); return pd.DataFrame({"title": [cand[i] for i in idx], "rating": vals.numpy().round(2)})
recommend(3)
# %%
try:
    import gradio as gr
    gr.Interface(fn=recommend, inputs="number", outputs="dataframe").launch()
except ImportError: print("no gradio")
# %%
def gradio_fn(user, k): return {r.title: float(r.rating) / 5.5 for r in recommend(user, int(k)).itertuples()}
len(gradio_fn("7", 3.0))
# %%
import json
json.dumps({"recs": recommend(4).to_dict("records")})[:9]
# %%
inf.predict({"user_id": 3, "title": "Film 05 (1955)"}) if False else inf.predict(pd.Series({"user_id": 3, "title": "Film 05 (1955)"}))
# %%
row, pred, raw = inf.predict(data.iloc[10]); type(row).__name__, pred, raw
# %%
with inf.no_bar(): out = [inf.predict(data.iloc[i])[1].item() for i in range(3)]
len(out)
# %%
with inf.no_bar(), inf.no_logging(), torch.no_grad(): p = inf.get_preds(dl=inf.dls.test_dl(data[:10]))[0]
p
# %%
def similar_books(title, n=5, w=None):
    w = inf.model.i_weight.weight if w is None else w; idx = inf.dls.classes["title"].o2i[title]; d = nn.CosineSimilarity(dim=1)(w, w[idx][None]); return [inf.dls.classes["title"][i] for i in d.argsort(descending=True)[1:n + 1]]
len(similar_books("Film 10 (1960)"))
# %%
sim_idx = nn.CosineSimilarity(dim=1)(inf.model.i_weight.weight, inf.model.i_weight.weight[3][None]).argsort(descending=True)[1]; inf.dls.classes["title"][sim_idx][:4]
# %%
from sklearn.metrics.pairwise import cosine_similarity
S = cosine_similarity(inf.model.i_weight.weight.detach().numpy()); pd.Series(S[3], index=list(inf.dls.classes["title"])).drop("#na#").nlargest(3).shape
# %% what a new reader likes: average of nearest users / optimisation of one new row
liked = ["Film 01 (1951)", "Film 02 (1952)"]; w = inf.model.weight(liked, is_item=True).mean(0); (inf.model.i_weight.weight @ w).topk(3).indices.shape
# %%
new_user = torch.zeros(16, requires_grad=True); opt = torch.optim.Adam([new_user], .1); it = torch.tensor([inf.dls.classes["title"].o2i[t] for t in liked]); y = torch.tensor([5., 4.])
for _ in range(20): loss = F.mse_loss(sigmoid_range(inf.model.i_weight.weight.detach()[it] @ new_user + inf.model.i_bias.weight.detach()[it].squeeze(), 0, 5.5), y); loss.backward(); opt.step(); opt.zero_grad()
loss.item() < 10
# %% adding a user and retraining
extra = pd.DataFrame({"user_id": 10**6, "title": liked, "rating": [5, 4]}); both = pd.concat([data[["user_id", "title", "rating"]], extra], ignore_index=True); d2 = CollabDataLoaders.from_df(both, item_name="title", bs=64, seed=1); l2 = collab_learner(d2, n_factors=16, y_range=(0, 5.5)); l2.fit(1, 5e-3); len(d2.classes["user_id"])
# %%
l2.model.u_weight.weight.data[:61] = inf.model.u_weight.weight.data; l2.validate()
# %%
l2.model.i_weight = deepcopy(inf.model.i_weight); l2.fit(1, 1e-3); l2.model.i_weight.weight.shape
# %%
for p in l2.model.i_weight.parameters(): p.requires_grad = False
before = l2.model.i_weight.weight.clone(); l2.fit(1, 1e-2); (before == l2.model.i_weight.weight).all()
# %%
import pickle
pickle.dump(list(dls.classes["title"]), open("titles.pkl", "wb")); pickle.load(open("titles.pkl", "rb"))[0]
# %%
pickle.dump(learn.model.state_dict(), open("sd.pkl", "wb")); learn.model.load_state_dict(pickle.load(open("sd.pkl", "rb")))
# %%
pd.DataFrame(learn.model.i_weight.weight.detach().numpy(), index=list(dls.classes["title"])).to_csv("emb.tsv", sep="\t", header=False); np.savetxt("bias.tsv", learn.model.i_bias.weight.detach().numpy()); len(open("emb.tsv").readlines())
# %%
sd = torch.load("booksapp/models/book_model.pth"); type(sd).__name__, list(sd)[:2] if isinstance(sd, dict) else None
# %%
learn.load("book_model"); learn.model.eval(); ts = torch.jit.trace(learn.model, dls.one_batch()[0]); ts(dls.one_batch()[0]).shape
# %%
pickle.loads(pickle.dumps(learn.model)).u_bias.weight.shape
# %%
class Recommender:
    def __init__(self, path): self.learn = load_learner(path); self.items = list(self.learn.dls.classes["title"])[1:]
    def __call__(self, user): return recommend(user)
Recommender(Path("booksapp")/"booksapp.pkl")(5).shape
# %%
@delegates(recommend)
def wrapped(user, **kwargs): return recommend(user, **kwargs)
import inspect; str(inspect.signature(wrapped))
