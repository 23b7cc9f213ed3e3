# %%
ratings = ratings.merge(movies)
dls = CollabDataLoaders.from_df(ratings, seed=42, item_name='title', valid_pct=0.1, bs=64, path='.')
dls.show_batch()
# %%
learn = collab_learner(dls, n_factors=40, y_range=(0, 5.5))
learn.lr_find()
# %%
learn.fit_one_cycle(3, 5e-3, wd=0.1)
# %%
g = ratings.groupby('title')['rating'].count()
top_movies = g.sort_values(ascending=False).index.values[:30]
top_movies[:10]
# %%
movie_bias = learn.model.bias(top_movies, is_item=True)
movie_bias.shape
# %%
mean_ratings = ratings.groupby('title')['rating'].mean()
movie_ratings = [(b, i, mean_ratings.loc[i]) for i,b in zip(top_movies,movie_bias)]
item0 = lambda o:o[0]
sorted(movie_ratings, key=item0)[:3]
# %%
sorted(movie_ratings, key=lambda o: o[0], reverse=True)[:3]
# %%
movie_w = learn.model.weight(top_movies, is_item=True)
movie_w.shape
# %%
movie_pca = movie_w.pca(3)
movie_pca.shape
# %%
fac0,fac1,fac2 = movie_pca.t()
movie_comp = [(f, i) for f,i in zip(fac0, top_movies)]
sorted(movie_comp, key=itemgetter(0), reverse=True)[:3]
# %%
idxs = np.random.choice(len(top_movies), 20, replace=False)
idxs = list(range(20))
X = fac0[idxs]
Y = fac2[idxs]
plt.figure(figsize=(15,15))
plt.scatter(X, Y)
for i, x, y in zip(top_movies[idxs], X, Y):
    plt.text(x,y,i, color=np.random.rand(3)*0.7, fontsize=11)
plt.show()
plt.close('all')
