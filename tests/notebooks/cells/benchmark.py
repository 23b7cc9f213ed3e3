# %% a benchmark's notebook: columns by constants, a split by hand, scores of everything
USER, ITEM, RATING, TIMESTAMP, PREDICTION, TITLE = "UserId", "MovieId", "Rating", "Timestamp", "Prediction", "Title"
data = ratings.merge(movies).rename(columns={"user": USER, "movie": ITEM, "rating": RATING, "timestamp": TIMESTAMP, "title": TITLE})
data[USER] = data[USER].astype("str")
data[ITEM] = data[ITEM].astype("str")
data.head()
# %%
train_valid_df = data.sample(frac=0.75, random_state=3)
test_df = data.drop(train_valid_df.index)
train_valid_df.shape[0] + test_df.shape[0]
# %%
if not 1 < torch.get_num_threads(): print('one thread')
device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
device.type
# %%
np.random.seed(101); torch.manual_seed(101)
dls = CollabDataLoaders.from_df(train_valid_df, user_name=USER, item_name=ITEM, rating_name=RATING, valid_pct=0, bs=64)
dls.show_batch()
# %%
dls.valid_ds is None, len(dls.train_ds)
# %%
learn = collab_learner(dls, n_factors=10, y_range=[0, 5.5], wd=1e-1)
learn.model
# %%
learn.fit_one_cycle(2, lr_max=5e-3)
len(learn.recorder.values)
# %%
learn.export('movielens_model.pkl')
learner = load_learner('movielens_model.pkl')
type(learner).__name__
# %%
total_users, total_items = learner.dls.classes.values()
total_items = total_items[1:]
total_users = total_users[1:]
len(total_users), len(total_items), type(total_items).__name__
# %%
test_users = test_df[USER].unique()
test_users = np.intersect1d(test_users, total_users)
len(test_users) > 10
# %%
def cartesian_product(*arrays):
    la = len(arrays)
    dtype = np.result_type(*arrays)
    arr = np.empty([len(a) for a in arrays] + [la], dtype=dtype)
    for i, a in enumerate(np.ix_(*arrays)):
        arr[..., i] = a
    return arr.reshape(-1, la)

users_items = cartesian_product(np.array(test_users), np.array(total_items))
users_items = pd.DataFrame(users_items, columns=[USER, ITEM])
users_items.columns.tolist()
# %%
training_removed = pd.merge(users_items, train_valid_df.astype(str), on=[USER, ITEM], how='left')
training_removed = training_removed[training_removed[RATING].isna()][[USER, ITEM]]
training_removed.shape[0] < users_items.shape[0]
# %%
def score(learner, test_df, user_col=USER, item_col=ITEM, prediction_col=PREDICTION, top_k=None):
    total_users, total_items = learner.dls.classes.values()
    test_df.loc[~test_df[user_col].isin(total_users), user_col] = np.nan
    test_df.loc[~test_df[item_col].isin(total_items), item_col] = np.nan
    u = learner._get_idx(test_df[user_col], is_item=False) if hasattr(learner, '_get_idx') else learner.model._get_idx(test_df[user_col].tolist(), is_item=False)
    m = learner._get_idx(test_df[item_col], is_item=True) if hasattr(learner, '_get_idx') else learner.model._get_idx(test_df[item_col].tolist(), is_item=True)
    x = torch.column_stack((u, m))
    if torch.cuda.is_available(): x = x.to("cuda"); learner.model = learner.model.to("cuda")
    pred = learner.model.forward(x).detach().cpu().numpy()
    scores = pd.DataFrame({user_col: test_df[user_col], item_col: test_df[item_col], prediction_col: pred})
    scores = scores.sort_values([user_col, prediction_col], ascending=[True, False])
    if top_k is not None:
        return scores.groupby(user_col).head(top_k).reset_index(drop=True)
    return scores

top_k_scores = score(learner, test_df=training_removed.copy(), top_k=10)
top_k_scores.columns.tolist(), top_k_scores.dtypes[PREDICTION].kind
# %%
top_k_scores.groupby(USER).size().max()
# %%
hits = top_k_scores.merge(test_df[[USER, ITEM, RATING]], on=[USER, ITEM])
hits.shape[1]
# %%
scores = score(learner, test_df=test_df.copy())
merged = scores.merge(test_df, on=[USER, ITEM])
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, explained_variance_score
eval_rmse = np.sqrt(mean_squared_error(merged[RATING], merged[PREDICTION]))
eval_mae = mean_absolute_error(merged[RATING], merged[PREDICTION])
eval_r2, eval_exp_var = r2_score(merged[RATING], merged[PREDICTION]), explained_variance_score(merged[RATING], merged[PREDICTION])
eval_rmse > 0, eval_mae > 0
# %%
print("RMSE:\t\t%f" % eval_rmse, "MAE:\t\t%f" % eval_mae, "R2:\t\t%f" % eval_r2, sep='\n')
# %%
os.path.exists('movielens_model.pkl') and os.remove('movielens_model.pkl')
# %% a study of widths, losses by width, a heat map of both
def run(n, lr):
    set_seed(1)
    l = collab_learner(own, n_factors=n, y_range=(0, 5.5))
    with l.no_logging(), l.no_bar(): l.fit_one_cycle(1, lr)
    return l.recorder.values[-1][1]

own = CollabDataLoaders.from_df(data, user_name=USER, item_name=ITEM, rating_name=RATING, bs=128, seed=1)
table = pd.DataFrame({lr: {n: run(n, lr) for n in (3, 7)} for lr in (1e-3, 1e-2)})
table
# %%
fig, ax = plt.subplots()
im = ax.imshow(table.values.astype(float))
ax.set_xticks(range(2), labels=[str(c) for c in table.columns])
plt.colorbar(im)
plt.close('all')
# %%
best = table.stack().idxmin()
len(best)
# %% folds
from sklearn.model_selection import KFold, StratifiedKFold, GroupKFold, train_test_split
oof = np.zeros(len(data))
for fold, (tr, va) in enumerate(KFold(3, shuffle=True, random_state=0).split(data)):
    to = TabularCollab(data, [Categorify], [USER, ITEM], y_names=[RATING], y_block=TransformBlock(), splits=(list(tr), list(va)))
    fold_dls = to.dataloaders(bs=64)
    fold_learn = collab_learner(fold_dls, n_factors=5, y_range=(0.5, 5.5), metrics=rmse)
    with fold_learn.no_bar(): fold_learn.fit_one_cycle(1, 1e-2)
    preds, targs = fold_learn.get_preds()
    oof[va] = preds.numpy().reshape(-1)
    fold_learn.save(f'fold{fold}')
(oof > 0).all()
# %%
sorted(p.name for p in (fold_learn.path/'models').glob('fold*.pth'))
# %%
parts = []
for fold in range(3):
    fold_learn.load(f'fold{fold}')
    parts.append(fold_learn.get_preds(dl=fold_dls.test_dl(test_df))[0])
blend = torch.stack(parts).mean(0)
blend.shape[0] == len(test_df)
# %%
torch.stack(parts).std(dim=0).mean().item() > 0
# %%
gkf = GroupKFold(n_splits=4)
tr, va = next(gkf.split(data, groups=data[USER]))
set(data.iloc[tr][USER]) & set(data.iloc[va][USER])
# %%
own2 = TabularCollab(data, [Categorify], [USER, ITEM], y_names=[RATING], y_block=TransformBlock(), splits=(list(map(int, tr)), list(map(int, va)))).dataloaders(bs=64, path='.')
own2.path, len(own2.valid_ds) == len(va)
# %%
cold = collab_learner(own2, n_factors=5, y_range=(0.5, 5.5), metrics=[rmse, mae])
cold.fit_one_cycle(1, 1e-2)
cold.validate()
# %% seconds, memory, sizes
import time
start = time.time()
cold.validate(dl=own2.train)
time.time() - start < 100
# %%
sum(p.numel() for p in cold.model.parameters()), sum(p.numel() for p in cold.model.parameters() if p.requires_grad)
# %%
sum(p.nelement() * p.element_size() for p in cold.model.parameters()) / 1024**2
# %%
{n: tuple(p.shape) for n, p in cold.model.named_parameters()}
# %%
exact_layers = [n for n, _ in cold.model.named_modules()]
# %% top n by a matrix
with torch.no_grad():
    m = cold.model.eval()
    full = m.u_weight.weight @ m.i_weight.weight.T + m.u_bias.weight + m.i_bias.weight.squeeze()
full = sigmoid_range(full, *m.y_range)
full.shape
# %%
values, idx = full[1:].topk(5, dim=1)
idx.shape, values.dtype
# %%
pd.DataFrame(np.array(own2.classes[ITEM])[idx[:3].numpy()], index=own2.classes[USER][1:4]).shape
# %%
full_df = pd.DataFrame(full[1:, 1:].numpy(), index=list(own2.classes[USER][1:]), columns=list(own2.classes[ITEM][1:]))
full_df.loc['7'].nlargest(3).shape
# %%
own2.classes[USER].o2i['7'], own2.classes[ITEM].map_objs(['7', '8'])
# %%
own2.classes[ITEM].map_ids([1, 2])
