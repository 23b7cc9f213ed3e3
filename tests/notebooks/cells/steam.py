# %% Steam-like hours played → log ratings; playlists; string ids; missing values; streamlit
steam = ratings.assign(hours=lambda d: np.exp(d.rating + np.random.RandomState(0).normal(size=len(d))), game=lambda d: "Game " + d.movie.astype(str), player=lambda d: "p" + d.user.astype(str).str.zfill(3))
steam["rating"] = np.log1p(steam.hours).round(2); steam = steam[["player", "game", "hours", "rating"]]; steam.to_csv("steam.csv", index=False); steam.dtypes.astype(str).tolist()
# %%
dls = CollabDataLoaders.from_csv("steam.csv", user_name="player", item_name="game", rating_name="rating", bs=64, seed=0, valid_pct=.1); dls.show_batch(max_n=4)
# %%
mn, mx = steam.rating.min(), steam.rating.max(); learn = collab_learner(dls, n_factors=12, y_range=(mn - .1, mx + .1)); learn.fit_one_cycle(2, 5e-3); learn.model.y_range
# %%
learn = collab_learner(dls, n_factors=12, y_range=(float(mn), float(mx) * 1.05), metrics=[rmse, exp_rmspe]); learn.fit_one_cycle(1, 5e-3, wd=.05); len(learn.recorder.values[0])
# %%
learn = collab_learner(dls, use_nn=True, emb_szs={"player": 10, "game": 12}, layers=[32, 16], y_range=(0, 10), metrics=rmse, config={"ps": [.1, .1], "embed_p": .05}); learn.model
# %%
game_emb = learn.model.embeds[1].weight; player_emb = learn.model.embeds[0].weight; game_emb.shape, player_emb.requires_grad
# %%
for i, l_ in enumerate(learn.model.layers): print(i, type(l_).__name__)
# %%
learn.model.layers[0][0].weight.shape if hasattr(learn.model.layers[0], "__getitem__") else learn.model.layers[0].weight.shape
# %%
learn.model.bn_cont, learn.model.n_cont, learn.model.n_emb, learn.model.emb_drop
# %%
learn.summary(); p = learn.get_preds()[0]; p
# %%
learn.model(dls.one_batch()[0]), learn.model.eval()(torch.tensor([[1, 1]]))
# %%
steam2 = steam.copy(); steam2.loc[3, "game"] = None; steam2 = steam2.dropna(); d2 = CollabDataLoaders.from_df(steam2, user_name="player", item_name="game", rating_name="rating", seed=1); len(d2.train_ds) + len(d2.valid_ds)
# %%
cat = steam.astype({"game": "category", "player": "category"}); d3 = CollabDataLoaders.from_df(cat, user_name="player", item_name="game", rating_name="rating", seed=1); d3.classes["game"][:3], d3.classes["game"].o2i["Game 3"]
# %%
steam["is_new"] = steam.player.str[1:].astype(int) > 50; d4 = CollabDataLoaders.from_df(steam, user_name="player", item_name="game", rating_name="rating", bs=32, val_bs=128); len(d4.train), len(d4.valid), d4.valid.bs
# %%
first_cols = CollabDataLoaders.from_df(steam[["player", "game", "rating"]]); first_cols.train_ds.cat_names, first_cols.train_ds.y_names
# %%
steam[["player", "game", "rating"]].to_csv("s.csv", index=False); c = CollabDataLoaders.from_csv(Path("s.csv"), valid_pct=.3, seed=2, bs=16); c.train_ds.items.shape, c.bs if hasattr(c, "bs") else None
# %%
learn.export("steam.pkl")
def app(player, n=5):
    learn = load_learner("steam.pkl"); own = steam[steam.player == player].game.unique(); games = [g for g in learn.dls.classes["game"] if g not in own and g != "#na#"]
    frame = pd.DataFrame({"player": player, "game": games}); dl = learn.dls.test_dl(frame); preds, _ = learn.get_preds(dl=dl); frame["score"] = preds; return frame.nlargest(n, "score")
app("p003")
# %%
class st:
    "streamlit, as far as this app goes"
    cache_resource = staticmethod(lambda f: functools.lru_cache(f)) if "functools" in globals() else staticmethod(lambda f: f); title = write = table = staticmethod(print); selectbox = staticmethod(lambda label, opts: opts[0]); slider = staticmethod(lambda *a: a[-1])
@st.cache_resource
def model(): return load_learner("steam.pkl")
who = st.selectbox("player", sorted(steam.player.unique())); st.write(app(who, st.slider("n", 1, 10, 3)).game.tolist()[:0])
# %%
m = model(); m.dls.classes["player"].o2i["p001"], m.dls.vocab if hasattr(m.dls, "vocab") else None, m.model.training
# %%
m.dls.test_dl(pd.DataFrame({"player": ["p001", "nobody"], "game": ["Game 1", "Game 2"]})).one_batch()[0]
# %%
m.dls.train_ds.items.shape, m.dls.valid_ds.items.shape, len(m.dls.train_ds)
# %%
m.get_preds(dl=m.dls.test_dl(steam.head(7)))[0].shape, m.get_preds(dl=m.dls.test_dl(steam.head(7), with_labels=True))[1]
# %%
m.fit_one_cycle(1) if False else m.opt, type(m.opt_func).__name__
# %%
m.model.embeds[1].weight.detach().numpy() @ m.model.embeds[1].weight.detach().numpy().T
# %%
playlist = {"a": ["Game 1", "Game 2"], "b": ["Game 3"]}; vec = {k: game_emb[[dls.classes["game"].o2i[g] for g in v]].mean(0) for k, v in playlist.items()}; F.cosine_similarity(vec["a"], vec["b"], dim=0)
# %%
from sklearn.neighbors import NearestNeighbors, KNeighborsRegressor
nn_ = NearestNeighbors(n_neighbors=4, metric="cosine").fit(game_emb.detach()); nn_.kneighbors(vec["a"].detach()[None])[1].shape
# %%
from sklearn.ensemble import RandomForestRegressor, StackingRegressor
xs, ys = dls.train_ds.xs, dls.train_ds.ys; rf = RandomForestRegressor(10, random_state=0).fit(xs, ys.values.ravel()); rf.score(dls.valid_ds.xs, dls.valid_ds.ys) < 1
# %%
to_np(game_emb).shape, to_np(p).dtype, to_detach(p).requires_grad, to_cpu(p).device.type
# %%
def emb_frame(xs): return np.hstack([to_np(e.weight)[xs[c]] for c, e in zip(dls.cat_names, learn.model.embeds)])
rf2 = RandomForestRegressor(10, random_state=0).fit(emb_frame(xs), ys.values.ravel()); emb_frame(dls.valid_ds.xs).shape
# %%
learn.dls.train_ds.xs.head(2), learn.dls.train_ds.ys.head(2)
# %%
learn.dls.train_ds.cats.shape, learn.dls.train_ds.conts.shape, learn.dls.train_ds.targ.shape, learn.dls.train_ds.cat_names, learn.dls.train_ds.cont_names, learn.dls.train_ds.all_col_names
# %%
learn.dls.train_ds.split_idx if hasattr(learn.dls.train_ds, "split_idx") else None
# %%
learn.dls.decode(learn.dls.one_batch()) if False else learn.dls.train.decode(learn.dls.one_batch()).items.head(2)
# %%
learn.dls.train_ds.show(max_n=2)
# %%
len(learn.dls), learn.dls.loaders[0] is learn.dls.train, learn.dls[0] is learn.dls.train
# %%
learn.dls.train.dataset is learn.dls.train_ds, learn.dls.train.n, learn.dls.train.num_workers if hasattr(learn.dls.train, "num_workers") else None
