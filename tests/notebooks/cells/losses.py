# %%
dls = CollabDataLoaders.from_df(ratings, seed=42, bs=64)
def my_loss(pred, targ): return ((pred - targ.squeeze())**2).mean()
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), loss_func=my_loss)
learn.fit_one_cycle(1, 5e-3)
# %%
shapes = []
def shape_loss(pred, targ):
    shapes.append((tuple(pred.shape), tuple(targ.shape), str(targ.dtype)))
    return F.mse_loss(pred, targ[:,0].float())
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), loss_func=shape_loss)
learn.fit_one_cycle(1, 5e-3)
exact_shapes = shapes[0]
exact_shapes
# %%
for lf in (MSELossFlat(), L1LossFlat(), nn.MSELoss(), F.l1_loss):
    learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), loss_func=lf)
    learn.fit(1)
# %%
lf = MSELossFlat()
lf(torch.zeros(4), torch.ones(4,1))
# %%
MSELossFlat()
# %%
for opt in (Adam, SGD, RMSProp, RAdam, ranger, Lamb, QHAdam, Larc, partial(Adam, sqr_mom=0.98), partial(SGD, mom=0.8), partial(OptimWrapper, opt=torch.optim.AdamW)):
    learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), opt_func=opt)
    learn.fit(1)
# %%
learn = collab_learner(dls, n_factors=10, y_range=(0.5,5.5), opt_func=partial(Adam, eps=1e-3), lr=1e-2, wd=0.1, moms=(0.9,0.8,0.9), model_dir='mm', train_bn=False, wd_bn_bias=True)
learn.fit_one_cycle(1)
# %%
class Model2(nn.Module):
    def __init__(self, nu, ni, k=8):
        super().__init__()
        self.u, self.i = nn.Embedding(nu, k), nn.Embedding(ni, k)
        self.lin = nn.Linear(2*k, 1)
    def forward(self, x):
        u, i = self.u(x[:,0]), self.i(x[:,1])
        return self.lin(torch.cat([u,i], 1))
m = Model2(len(dls.classes['user']), len(dls.classes['movie']))
learn = Learner(dls, m, loss_func=nn.MSELoss(), metrics=[rmse])
learn.fit_one_cycle(1, 1e-2)
learn.get_preds()[0]
# %%
class Two(Module):
    def __init__(self, nu, ni): self.u, self.i = Embedding(nu, 4), Embedding(ni, 4)
    def forward(self, x): return (self.u(x[:,0]) * self.i(x[:,1])).sum(1), self.u(x[:,0]).pow(2).mean()
def two_loss(p, y): return F.mse_loss(p[0], y.squeeze().float()) + 0.1*p[1]
learn = Learner(dls, Two(len(dls.classes['user']), len(dls.classes['movie'])), loss_func=two_loss)
learn.fit(1)
# %%
liked = ratings.assign(rating=(ratings.rating > 3).astype(int))
d2 = CollabDataLoaders.from_df(liked, seed=1, bs=64)
learn = collab_learner(d2, n_factors=10, loss_func=BCEWithLogitsLossFlat(), metrics=[accuracy_multi])
learn.fit(1)
p, t, d = learn.get_preds(with_decoded=True)
p, t, d
# %%
class Cls(Module):
    def __init__(self, nu, ni): self.u, self.i, self.l = Embedding(nu, 8), Embedding(ni, 8), nn.Linear(16, 6)
    def forward(self, x): return self.l(torch.cat([self.u(x[:,0]), self.i(x[:,1])], 1))
learn = Learner(dls, Cls(len(dls.classes['user']), len(dls.classes['movie'])), loss_func=CrossEntropyLossFlat(), metrics=accuracy)
learn.fit(1)
p, t, d = learn.get_preds(with_decoded=True)
p, t, d
# %%
y_range = (0, ratings.rating.max() + 0.5)
learn = collab_learner(dls, n_factors=10, y_range=list(y_range))
learn.fit(1)
# %%
config = tabular_config(ps=[0.1, 0.1], embed_p=0.05, use_bn=True, bn_final=True, bn_cont=False)
learn = collab_learner(dls, use_nn=True, emb_szs={'user': 8, 'movie': 6}, layers=[20, 10], config=config, y_range=(0, 5.5))
learn.fit(1)
learn.model.embeds
# %%
learn = collab_learner(dls, use_nn=True, layers=[16])
learn.fit(1)
learn.get_preds()[0]
# %%
model = EmbeddingDotBias(8, len(dls.classes['user']), len(dls.classes['movie']), y_range=(0,5.5))
learn = Learner(dls, model, loss_func=MSELossFlat(), metrics=[rmse, mae], opt_func=ranger)
learn.fit_flat_cos(1, 1e-2)
# %%
model = EmbeddingDotBias.from_classes(8, dls.classes, user='user', item='movie', y_range=(0,5.5))
model.bias([1,2,3]), model.weight([1,2], is_item=False)
# %%
m = EmbeddingNN(get_emb_sz(dls), [10], y_range=(0,5.5))
x, y = dls.one_batch()
m(x)
# %%
l = LinBnDrop(10, 5, bn=True, p=0.1, act=nn.ReLU(), lin_first=True)
l(torch.randn(4, 10))
# %%
[tuple(o) for o in get_emb_sz(dls, {'user': 9})], emb_sz_rule(100)
# %%
sigmoid_range(torch.zeros(3), 0, 5), SigmoidRange(0, 5)(torch.zeros(2))
# %%
Embedding(10, 4, std=0.1).weight
# %%
trunc_normal_(torch.zeros(5, 5), std=0.1).shape
# %%
params(learn.model)
# %%
trainable_params(learn.model)
# %%
total_params(learn.model)
# %%
rmse(torch.tensor([1.,2.]), torch.tensor([2.,2.])), mae(torch.tensor([1.,2.]), torch.tensor([2.,2.])), mse(torch.tensor([1.,2.]), torch.tensor([2.,2.]))
