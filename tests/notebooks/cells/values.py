# %% functions whose values must be those of the library
exact_random = [list(map(int, s[:5])) for s in RandomSplitter(0.3, seed=5)(ratings)]
# %%
exact_subset = [list(map(int, s[:5])) for s in RandomSubsetSplitter(0.3, 0.1, seed=2)(ratings)]
# %%
exact_end = [[len(s), int(s[0])] for s in EndSplitter(0.25)(ratings)] + [[len(s), int(s[0])] for s in EndSplitter(0.25, valid_last=False)(ratings)]
# %%
exact_tts = [list(map(int, s[:5])) for s in TrainTestSplitter(0.2, random_state=4, stratify=ratings.rating)(ratings)]
# %%
exact_mask = [list(map(int, s[:4])) for s in MaskSplitter(ratings.rating > 4)(ratings)] + [list(map(int, s[:4])) for s in IndexSplitter([3, 1, 7])(ratings)]
# %%
exact_col = [list(map(int, s[:4])) for s in ColSplitter('v')(ratings.assign(v=ratings.index % 4 == 1))] + [list(map(int, s[:4])) for s in ColSplitter('k', on=['b'])(ratings.assign(k=np.where(ratings.index % 3, 'a', 'b')))]
# %%
p = np.linspace(0, 1, 7); close_scheds = [[float(f(q)) for q in p] for f in (SchedLin(1, 3), SchedCos(1, 3), SchedNo(1, 3), SchedExp(1, 3), SchedPoly(1, 3, 2), combined_cos(0.3, 1, 2, 0.5), combine_scheds([0.4, 0.6], [SchedCos(0, 1), SchedLin(1, 0)]))]
# %%
a, b = torch.sin(torch.arange(40.)) + 3, torch.cos(torch.arange(40.) * 2) + 3
close_metrics = [float(f(a, b)) for f in (mse, rmse, mae, msle, exp_rmspe)] + [float(R2Score()(a, b)), float(ExplainedVariance()(a, b)), float(PearsonCorrCoef()(a, b)), float(SpearmanCorrCoef()(a, b))]
# %%
logits, classes = torch.sin(torch.arange(60.)).view(20, 3), torch.arange(20) % 3
close_classes = [float(accuracy(logits, classes)), float(error_rate(logits, classes)), float(top_k_accuracy(logits, classes, k=2)), float(CrossEntropyLossFlat()(logits, classes)), float(LabelSmoothingCrossEntropyFlat(eps=0.2)(logits, classes)), float(FocalLossFlat()(logits, classes))]
# %%
bits = (b > 3).float(); close_bits = [float(accuracy_multi(a - 3, bits)), float(accuracy_multi(a / 5, bits, thresh=0.6, sigmoid=False)), float(BCEWithLogitsLossFlat()(a - 3, bits)), float(BCELossFlat()(a / 5, bits)), float(L1LossFlat()(a, b)), float(MSELossFlat()(a, b))]
# %%
close_acts = [BCEWithLogitsLossFlat().activation(a[:3] - 3).tolist(), CrossEntropyLossFlat().activation(logits[:1]).flatten().tolist(), BCEWithLogitsLossFlat(thresh=0.7).decodes(torch.sigmoid(a[:6] - 3)).float().tolist(), CrossEntropyLossFlat().decodes(logits[:6]).tolist()]
# %%
import sklearn.metrics
best = logits.argmax(1); close_sk = [float(f(best, classes)) for f in (skm_to_fastai(sklearn.metrics.f1_score, is_class=False, average='macro'), skm_to_fastai(sklearn.metrics.cohen_kappa_score, is_class=False))]
# %%
close_range = [sigmoid_range(a[:3] - 3, 1, 4).tolist(), SigmoidRange(0, 2)(b[:3]).tolist(), mish(a[:3] - 3).tolist()]
# %%
to = TabularPandas(ratings.assign(age=np.where(ratings.user % 5 == 0, np.nan, ratings.user * 1.5)), [Categorify, FillMissing, Normalize], ['user', 'movie'], ['age', 'timestamp'], 'rating', splits=RandomSplitter(seed=2)(ratings))
exact_cats = [to.train.cats.iloc[:4].values.tolist(), to.valid.cats.iloc[:2].values.tolist(), to.train.cats.columns.tolist()]; close_conts = to.train.conts.iloc[:4].values.tolist()
# %%
close_valid = to.valid.conts.iloc[:3].values.tolist(); exact_y = to.valid.y.iloc[:5].tolist()
# %%
new = to.new(ratings.assign(age=np.nan).iloc[:3]); new.process(); close_new = new.conts.values.tolist(); exact_new = new.cats.values.tolist()
# %%
back = to.train.decode().items.iloc[:3]; exact_back = back[['user', 'movie']].astype(int).values.tolist(); close_back = back[['age', 'timestamp']].astype(float).values.tolist()
# %%
d = add_datepart(pd.DataFrame({'when': pd.to_datetime(['2020-02-29 13:05', '2021-12-31 23:59', '1999-01-01 00:00'])}), 'when', time=True).drop(columns='whenElapsed'); exact_dates = [[int(v) for v in row] for row in d.values.tolist()]; exact_parts = d.columns.tolist()
# %%
exact_small = df_shrink(pd.DataFrame({'a': [1, 300], 'b': [1.5, 2.5], 'c': ['x', 'y'], 'd': [-1, 127], 'e': [True, False]})).dtypes.astype(str).tolist()
# %%
exact_split_cols = [sorted(c) for c in cont_cat_split(pd.DataFrame({'a': range(30), 'b': np.linspace(0, 1, 30), 'c': ['x'] * 30, 'd': [1, 2] * 15}), max_card=10)]
# %%
exact_emb = [emb_sz_rule(n) for n in range(2, 60, 7)] + [list(map(int, s)) for s in get_emb_sz(to)]
# %%
exact_map = [list(map(str, CategoryMap(pd.Series([3, 1, 2, 1]), add_na=True))), list(CategoryMap(['b', 'a', 'c'], sort=False)), list(CategoryMap(pd.Series(pd.Categorical(['lo', 'hi'], ['lo', 'mid', 'hi'], ordered=True)), add_na=True))]
# %%
exact_l = [list(L(3, 1, 2).sorted()), list(L('a', 'bb').map(len)), list(L([1, 2], [3]).concat()), list(L(range(6)).filter(lambda o: o % 2)), list(L(1, 2, 2).unique()), L(1, 2, 3).sum(), list(L((1, 2), (3, 4)).itemgot(1)), list(L(range(5))[1, 3]), list(L.range(3)), list(map(list, L([1, 2]).zipwith([3, 4])))]
# %%
exact_tools = [one_hot(2, 4).tolist(), list(chunked(range(5), 2)), round_multiple(57, 10), camel2snake('MyMetric'), snake2camel('my_metric'), list(flatten([[1, [2]], 3])), {str(k): v for k, v in groupby(['a', 'bb', 'c'], len).items()}, listify('ab'), list(tuplify(3)), first([4, 5]), [round(float(v), 3) for v in even_mults(1, 4, 3)], type(even_mults(1, 4, 3)).__name__, num_cpus() > 0]
# %%
close_pca = tensor(np.outer(np.arange(6.), [1., 2, 3]) + np.eye(6, 3)).float().pca(2).abs().flatten().tolist()
# %%
m = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)); exact_params = [total_params(m)[0], len(params(m)), len(norm_bias_params(m)), len(norm_bias_params(m, with_bias=False)), [type(x).__name__ for x in flatten_model(m)]]
# %%
sm = AvgSmoothLoss(beta=0.9); sm.reset(); smooth = []
for v in (3., 2., 4., 1.): sm.accumulate(SimpleNamespace(loss=tensor(v), to_detach=to_detach)); smooth.append(float(sm.value))
close_smooth = smooth
# %%
avg = AvgMetric(mae); avg.reset()
for n in (4, 2): avg.accumulate(SimpleNamespace(pred=a[:n], y=b[:n], yb=(b[:n],), to_detach=to_detach))
close_avg = float(avg.value)
# %%
lrs, losses = np.geomspace(1e-6, 1, 60), np.concatenate([np.linspace(3, 2.9, 20), np.linspace(2.9, 1, 25), np.linspace(1.1, 5, 15)])
close_suggest = [float(f(tensor(lrs), tensor(losses), 60)[0]) for f in (valley, slide, minimum, steep)]
# %%
d1 = CollabDataLoaders.from_df(ratings, valid_pct=0.25, seed=8, bs=50, shuffle=False); exact_rows = [x[:2].tolist() for x, _ in d1.valid][:3]; exact_lens = [len(d1.train), len(d1.valid), len(d1.train_ds), d1.train.n]
# %%
close_targets = [float(y.float().sum()) for _, y in d1.valid]; exact_t = str(d1.valid.one_batch()[1].dtype)
# %%
t = d1.test_dl(ratings.iloc[[5, 2, 9]].assign(user=[1, 2, 999])); exact_test = t.one_batch()[0].tolist()
# %%
dec = d1.valid.decode_batch if False else d1.valid_ds.decode().items[['user', 'movie', 'rating']].head(4).astype(int).values.tolist(); exact_dec = dec
