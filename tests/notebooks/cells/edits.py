# %% what is changed by hand between, before and in fits counts: the same losses as there
dls = CollabDataLoaders.from_df(ratings, seed=42, bs=64, shuffle=False)
sizes = [len(dls.classes[c]) for c in ('user', 'movie')]
def filled(m, scale=0.3):
    "weights that come from no generator"
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
def fresh(**kw):
    learn = collab_learner(dls, n_factors=8, y_range=(0.5, 5.5), **kw); filled(learn.model); return learn
def seen(learn): return [[float(v) for v in row] for row in learn.recorder.values]
learn = fresh(metrics=[rmse, mae]); exact_sizes = [len(dls.train), len(dls.valid), *sizes]
close_before = list(learn.validate())
# %% what is changed by hand between, before and in fits counts: the same losses as there
# %% losses with options
fdls = CollabDataLoaders.from_df(ratings.assign(rating=ratings.rating - 0.5), seed=42, bs=64, shuffle=False)
def of(loss, y_range=(0.5, 5.5)):
    learn = Learner(fdls, filled(EmbeddingDotBias(8, *sizes, y_range=y_range)), loss_func=loss); learn.fit(2, 2e-3); return seen(learn)
close_sum, close_l1_sum = of(MSELossFlat(reduction='sum')), of(L1LossFlat(reduction='sum'))
# %%
close_own_sum = of(lambda p, t: F.mse_loss(p, t.squeeze(), reduction='sum')); close_huber = of(lambda p, t: F.huber_loss(p, t.squeeze(), delta=0.3)); close_smooth = of(lambda p, t: F.smooth_l1_loss(p, t.squeeze(), beta=0.2))
# %%
close_logits = of(BaseLoss(nn.BCEWithLogitsLoss, pos_weight=tensor(3.), floatify=True, is_2d=False), None); close_no_range_l1 = of(L1LossFlat(), None)
# %%
learn = fresh(); learn.model.y_range = (0, 7); learn.fit(1, 1e-2); close_range_before = seen(learn); learn.model.y_range = (-1, 6); learn.fit(1, 1e-2); close_range_after = seen(learn)
# %%
learn = fresh(); learn.fit(1, 1e-2); learn.model.y_range = None; learn.fit(1, 1e-2); close_no_range = seen(learn)
# %% hyper-parameters by hand
learn = fresh(); learn.create_opt(); learn.opt.set_hyper('sqr_mom', 0.9); learn.fit(2, 1e-2); close_sqr_mom = seen(learn)
# %%
learn = fresh(); learn.create_opt(); learn.opt.set_hyper('eps', 0.1); learn.fit(2, 1e-2); close_eps = seen(learn)
# %%
learn = fresh(); learn.fit(1, 1e-2); learn.opt.set_hypers(sqr_mom=0.9, eps=1e-2); learn.fit(1, 1e-2); close_hypers_later = seen(learn)
# %%
def by_side(m): return [params(m.i_weight) + params(m.i_bias), params(m.u_weight) + params(m.u_bias)]
learn = fresh(splitter=by_side); learn.create_opt(); learn.opt.set_hyper('wd', [0.5, 0.]); learn.fit(2, 1e-2); close_wds = seen(learn) + [[float(learn.model.i_weight.weight.norm()), float(learn.model.u_weight.weight.norm())]]
# %%
learn = fresh(wd=0.3); learn.fit(1, 1e-2); learn.wd = 0.; learn.fit(1, 1e-2); close_wd_later = seen(learn) + [[float(learn.model.i_weight.weight.norm())]]
# %%
learn = fresh(); learn.create_opt(); learn.opt.set_hyper('mom', 0.5); learn.fit(2, 1e-2); close_mom = seen(learn)
# %%
learn = fresh(); learn.fit(1, 1e-2); learn.opt_func = SGD; learn.fit(1, 1e-2); close_same_opt = seen(learn)
# %%
learn.fit(1, 1e-1, reset_opt=True); close_reset = seen(learn)
# %%
class Warm(Callback):
    def before_epoch(self): self.opt.set_hyper('lr', 1e-3 * (self.epoch + 1))
learn = fresh(cbs=Warm()); learn.fit(3, 1e-2); close_warm = seen(learn)
# %%
class Decay(Callback):
    def before_fit(self): self.opt.set_hyper('wd', 0.4)
learn = fresh(cbs=Decay()); learn.fit(2, 1e-2); close_decay = seen(learn)
# %% tables by hand
learn = fresh(); learn.model.i_weight = nn.Embedding(sizes[1], 8, padding_idx=0); filled(learn.model); learn.fit(2, 1e-2); close_padding = seen(learn) + [[float(learn.model.i_weight.weight[0].norm())]]
# %%
learn = fresh(); learn.model.i_weight = nn.Embedding(sizes[1], 8, max_norm=0.5); filled(learn.model); learn.fit(2, 1e-2); close_max_norm = seen(learn)
# %%
learn = fresh(); learn.model.u_weight = nn.Embedding(sizes[0], 8, scale_grad_by_freq=True); filled(learn.model); learn.fit(2, 1e-2); close_by_freq = seen(learn)
# %%
learn = fresh(); h = learn.model.i_weight.weight.register_hook(lambda g: g * 0); learn.fit(2, 1e-2, wd=0); close_grad_hook = seen(learn); h.remove(); learn.fit(1, 1e-2); close_unhooked = seen(learn)
# %%
learn = fresh(); learn.fit(1, 1e-2); h = learn.model.i_weight.register_forward_hook(lambda m, i, o: o * 0.5); learn.fit(1, 1e-2); close_hooked = seen(learn); h.remove(); learn.fit(1, 1e-2); close_hook_gone = seen(learn)
# %%
learn = fresh(); learn.model.i_bias = Embedding(sizes[1], 1); filled(learn.model); learn.model.i_bias.weight.requires_grad_(False); learn.fit(2, 1e-2); close_still = seen(learn)
# %%
class Scaled(EmbeddingDotBias):
    def forward(self, x): return super().forward(x) * 0.9
learn = Learner(dls, filled(Scaled(8, *sizes, y_range=(0.5, 5.5))), loss_func=MSELossFlat()); learn.fit(2, 1e-2); close_scaled = seen(learn)
# %%
_old = EmbeddingDotBias.forward
@patch
def forward(self: EmbeddingDotBias, x): return _old(self, x) + 0.25
learn = fresh(); learn.fit(2, 1e-2); close_patched = seen(learn); EmbeddingDotBias.forward = _old
# %%
learn.fit(1, 1e-2); close_unpatched = seen(learn)
# %%
learn = fresh(); import types; learn.model.forward = types.MethodType(lambda self, x: _old(self, x) - 0.25, learn.model); learn.fit(2, 1e-2); close_own_forward = seen(learn)
# %% data by hand
d2 = CollabDataLoaders.from_df(ratings, seed=42, bs=64, shuffle=False); learn = Learner(d2, filled(EmbeddingDotBias(8, *sizes, y_range=(0.5, 5.5))), loss_func=MSELossFlat()); learn.fit(1, 1e-2); close_first = seen(learn)
d2.train.bs = 100; learn.fit(1, 1e-2); close_bs = seen(learn)
# %%
learn.dls.train_ds.items['rating'] = 6 - learn.dls.train_ds.items['rating']; learn.fit(2, 1e-2); close_turned = seen(learn)
# %%
d3 = CollabDataLoaders.from_df(ratings, seed=42, bs=64, shuffle=True); learn = Learner(d3, filled(EmbeddingDotBias(8, *sizes, y_range=(0.5, 5.5))), loss_func=MSELossFlat()); learn.fit(1, 1e-2); d3.train_ds.items['rating'] = 5; learn.fit(4, 3e-2); exact_seen_new = learn.recorder.values[-1][0] < 0.6, learn.recorder.values[-1][1] > 1
# %% the network by hand
def network(**kw): return filled(EmbeddingNN(get_emb_sz(dls), [16], **{'y_range': (0.5, 5.5), 'use_bn': False, **kw}))
learn = Learner(dls, network(), loss_func=MSELossFlat()); learn.model.embeds[0] = nn.Embedding(*learn.model.embeds[0].weight.shape, max_norm=0.5); filled(learn.model); learn.fit(2, 5e-3); close_net_norm = seen(learn)
# %%
learn = Learner(dls, network(), loss_func=MSELossFlat()); learn.create_opt(); learn.opt.set_hyper('sqr_mom', 0.9); learn.fit(2, 5e-3); close_net_sqr = seen(learn)
# %%
learn = Learner(dls, network(), loss_func=MSELossFlat()); h = learn.model.layers.register_forward_hook(lambda m, i, o: o * 0.5); learn.fit(2, 5e-3); close_net_hook = seen(learn)
# %%
learn = Learner(dls, network(), loss_func=MSELossFlat()); learn.model.layers[0][0].weight.requires_grad_(False) if hasattr(learn.model.layers[0], '__getitem__') else None; learn.fit(2, 5e-3); close_net_frozen = seen(learn)
# %%
learn = Learner(dls, network(), loss_func=MSELossFlat(), splitter=lambda m: params(m.layers)); learn.fit(2, 5e-3); close_net_part = seen(learn)
# %%
class Own(Module):
    def __init__(self): self.u, self.i = Embedding(sizes[0], 6), Embedding(sizes[1], 6)
    def forward(self, x): return sigmoid_range((self.u(x[:, 0]) * self.i(x[:, 1])).sum(1), 0.5, 5.5)
learn = Learner(dls, filled(Own()), loss_func=MSELossFlat()); learn.create_opt(); learn.opt.set_hyper('sqr_mom', 0.9); learn.fit(1, 1e-2); learn.model.u.max_norm = 0.4; learn.fit(1, 1e-2); close_own = seen(learn)
# %%
learn = Learner(dls, filled(Own()), loss_func=MSELossFlat(), splitter=lambda m: params(m.u)); learn.fit(2, 1e-2); close_own_part = seen(learn) + [[float(learn.model.i.weight.norm())]]
