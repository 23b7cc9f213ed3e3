# %% own Dataset, own training loop, plain torch beside Learner
torch.manual_seed(0); np.random.seed(0); random.seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"; print(device)
# %%
dls = CollabDataLoaders.from_df(ratings, item_name="movie", bs=64, seed=0, device=device); dls.device
# %%
class DotProduct(Module):
    def __init__(self, n_users, n_movies, n_factors):
        self.user_factors = Embedding(n_users, n_factors)
        self.movie_factors = Embedding(n_movies, n_factors)
    def forward(self, x):
        users = self.user_factors(x[:, 0]); movies = self.movie_factors(x[:, 1])
        return (users * movies).sum(dim=1)
n_users, n_movies, n_factors = len(dls.classes["user"]), len(dls.classes["movie"]), 5
model = DotProduct(n_users, n_movies, n_factors).to(device); model
# %%
user_factors = torch.randn(n_users, n_factors); movie_factors = torch.randn(n_movies, n_factors)
one_hot_3 = one_hot(3, n_users).float(); user_factors.t() @ one_hot_3
# %%
user_factors[3]
# %%
class T(Module):
    def __init__(self): self.a = torch.ones(3)
L(T().parameters())
# %%
class T(Module):
    def __init__(self): self.a = nn.Parameter(torch.ones(3))
L(T().parameters())
# %%
class T(Module):
    def __init__(self): self.a = nn.Linear(1, 3, bias=False)
t = T(); L(t.parameters())
# %%
type(t.a.weight)
# %%
def create_params(size): return nn.Parameter(torch.zeros(*size).normal_(0, 0.01))
class DotProductBias(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5)):
        self.user_factors = create_params([n_users, n_factors]); self.user_bias = create_params([n_users])
        self.movie_factors = create_params([n_movies, n_factors]); self.movie_bias = create_params([n_movies])
        self.y_range = y_range
    def forward(self, x):
        users = self.user_factors[x[:, 0]]; movies = self.movie_factors[x[:, 1]]
        res = (users * movies).sum(dim=1)
        res += self.user_bias[x[:, 0]] + self.movie_bias[x[:, 1]]
        return sigmoid_range(res, *self.y_range)
model = DotProductBias(n_users, n_movies, 5)
learn = Learner(dls, model, loss_func=MSELossFlat(), metrics=[rmse], opt_func=partial(Adam, mom=0.9, sqr_mom=0.99, eps=1e-6), model_dir="ckpt", path=Path("."))
learn.fit_one_cycle(3, 5e-3, wd=0.1)
# %%
movie_bias = learn.model.movie_bias; idxs = movie_bias.argsort()[:5]; [dls.classes["movie"][i] for i in idxs][:0]
# %%
movie_bias.shape, movie_bias.squeeze().argsort(descending=True)[:5].shape
# %% the loop by hand
model = DotProductBias(n_users, n_movies, 5).to(device)
opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9); sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.5, total_steps=2 * len(dls.train))
hist = defaultdict(list)
for epoch in range(2):
    model.train(); total = count = 0
    for xb, yb in progress_bar(dls.train):
        pred = model(xb); loss = F.mse_loss(pred, yb.float().squeeze()); loss.backward(); opt.step(); sched.step(); opt.zero_grad()
        total += loss.item() * len(xb); count += len(xb)
    hist["train"].append(total / count)
    model.eval()
    with torch.no_grad(): hist["valid"].append(np.mean([F.mse_loss(model(xb), yb.float().squeeze()).item() for xb, yb in dls.valid]))
len(hist["train"]), len(dls.train), len(dls.valid)
# %%
mb = master_bar(range(2))
for e in mb:
    for xb, yb in progress_bar(dls.valid, parent=mb): pass
    mb.write(f"epoch {e}")
# %%
def batch_accuracy(xb, yb): return ((xb - yb).abs() < .5).float().mean()
batch_accuracy(model(xb), yb.squeeze()).shape
# %%
xb, yb = first(dls.train); xb.shape, yb.shape, xb.device.type, type(xb).__name__, type(yb).__name__
# %%
b = dls.train.one_batch(); type(b).__name__, len(b)
# %%
for i, (xb, yb) in enumerate(dls.train):
    if i == 2: break
i, xb.dtype, yb.dtype
# %%
it = iter(dls.train); xb, yb = next(it); xb.shape
# %%
xs, ys = zip(*dls.valid); torch.cat(xs).shape, torch.cat(ys).shape
# %%
dls.valid.one_batch()[0][:3]
# %%
list(dls.valid)[-1][0].shape
# %%
learn.model.eval(); xb, yb = dls.valid.one_batch(); learn.loss_func(learn.model(xb), yb), learn.model(xb)[:3]
# %%
learn.save("m1"); learn.load("m1")
# %%
torch.save(learn.model.state_dict(), "sd.pth"); m2 = DotProductBias(n_users, n_movies, 5); m2.load_state_dict(torch.load("sd.pth"))
# %%
m2.user_bias.data_ptr() != learn.model.user_bias.data_ptr()
# %%
learn.to_fp16() if torch.cuda.is_available() else None
# %%
learn = learn.to_fp16(); learn.fit(1, 1e-4); learn = learn.to_fp32(); learn.cbs
# %%
torch.set_num_threads(1); torch.get_num_threads()
# %%
learn.model.cpu(); next(learn.model.parameters()).device
# %%
class Model2(nn.Module):
    def __init__(self, n_users, n_items, emb=8, hidden=[16, 8], dropout=.1):
        super(Model2, self).__init__()
        self.user, self.item = nn.Embedding(n_users, emb, padding_idx=0), nn.Embedding(n_items, emb, padding_idx=0)
        layers = []; inp = 2 * emb
        for h in hidden: layers += [nn.Linear(inp, h), nn.ReLU(inplace=True), nn.BatchNorm1d(h), nn.Dropout(dropout)]; inp = h
        self.mlp = nn.Sequential(*layers); self.head = nn.Linear(inp, 1); self.init()
    def init(self):
        for m in self.modules():
            if isinstance(m, nn.Linear): nn.init.kaiming_normal_(m.weight); nn.init.constant_(m.bias, 0.)
        self.user.weight.data.uniform_(-.05, .05)
    def forward(self, x): return self.head(self.mlp(torch.cat((self.user(x[:, 0]), self.item(x[:, 1])), dim=1))).squeeze(1)
learn = Learner(dls, Model2(n_users, n_movies), loss_func=nn.MSELoss(), metrics=[mae], cbs=[CSVLogger(append=True), SaveModelCallback(with_opt=True)])
learn.fit_one_cycle(2, 1e-3)
# %%
Path("models").ls(), sorted(os.listdir("."))
# %%
print(open("history.csv").read())
# %%
sum(p.numel() for p in learn.model.parameters() if p.requires_grad), total_params(learn.model)
# %%
learn.summary()
# %%
learn.model.user.weight[0].abs().sum()
# %%
learn.opt.state_dict().keys(), learn.opt.hypers
# %%
learn.opt.param_lists
# %%
learn.get_preds(ds_idx=0, with_decoded=True, act=lambda o: o.clamp(1, 5))
# %%
learn.dls.train.get_idxs()[:0], len(learn.dls.train.get_idxs())
