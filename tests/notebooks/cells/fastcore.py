# %%
ifnone(None, 3), ifnone(2, 3), first([4,5]), listify(3), range_of([1,2,3])
# %%
class A:
    def __init__(self, a, b=2): store_attr()
(A(1).a, A(1).b)
# %%
class B:
    def __init__(self, a, b=2): store_attr('a')
hasattr(B(1), 'b')
# %%
def f(a, b=1, **kwargs): pass
@delegates(f)
def g(c, **kwargs): return c
import inspect
str(inspect.signature(g))
# %%
@patch
def double(self:L): return self.map(lambda o: o*2)
L(1,2,3).double()
# %%
l = L(range(12))
l
# %%
l.map(str)[:3], l.filter(lambda o: o>9), l.sum(), l.reduce(lambda a,b:a+b, 0), l.argwhere(lambda o: o==3)
# %%
L([3,1,2]).sorted(), L([3,1,2]).sorted(reverse=True), L([1,1,2]).unique(), L([[1],[2,3]]).concat()
# %%
L([(1,2),(3,4)]).itemgot(1), L([(1,2),(3,4)]).zip(), L(['a','b']).val2idx(), L([1,2]).enumerate(), L.range(4), L([1,2,3]).shuffle().sum()
# %%
L([(1,2),(3,4)]).starmap(operator.add)
# %%
L([1,None,2]).filter(), L([1,2,3])[0,2], L([1,2,3])[[True,False,True]], L([1,2,3]).attrgot('real'), L([1,2,3])[-1]
# %%
test_eq(1, 1); test_ne(1, 2); test_close(1., 1.000001); test_is(None, None); test_eq(L(1,2), [1,2])
# %%
def bad(): raise Exception('no')
test_fail(bad, contains='no')
# %%
all_equal([1,2],[1,2]), is_listy([1]), is_listy('a'), tuplify(1), detuplify((1,)), uniqueify([1,1,2]), setify([1,2])
# %%
itemgetter(1)([1,2]), Counter('aab'), defaultdict(int)['x'], partial(max, 3)(4), math.sqrt(4), re.sub('a','b','aa'), os.path.basename('/a/b')
# %%
compose(lambda o: o+1, lambda o: o*2)(3), noop(3), noops(None, 3), groupby([1,2,3,4], lambda o: o%2), merge({'a':1},{'b':2})
# %%
camel2snake('DotProductBias'), snake2camel('dot_product'), round_multiple(63, 5), chunked([1,2,3,4,5], 2) is not None, list(chunked([1,2,3,4,5], 2))
# %%
tensor(1,2,3), tensor([1.,2.]), tensor(np.array([1.5])), tensor(pd.Series([1,2])), to_np(tensor([1])), to_device(tensor(1)), to_cpu([tensor(1)]), to_detach(tensor([1.])), to_float(tensor([1.]))
# %%
one_hot([1,3], 5)
# %%
set_seed(42); a = torch.rand(1); set_seed(42, reproducible=True); b = torch.rand(1)
bool(a == b)
# %%
attrdict(SimpleNamespace(a=1,b=2), 'a'), AttrDict(a=1).a
# %%
ratings.pivot_table(index='user', columns='movie', values='rating').shape, list(itertools.islice(itertools.count(), 3)), json.dumps({'a':1}), random.Random(1).randint(0,5)
# %%
torch.randn(20,5).pca(2).shape
# %%
fig, axs = subplots(1, 2)
plt.close('all')
# %%
display_df(ratings.head(2))
# %%
URLs.ML_SAMPLE, URLs.ML_100k
# %%
str(URLs.path('x')).endswith('x')
# %%
m = nn.Sequential(nn.Linear(4,3), nn.ReLU(), nn.Linear(3,1))
apply_init(m, nn.init.kaiming_normal_)
# %%
flatten_model(m), has_params(m), in_channels(nn.Sequential(nn.Conv2d(3,4,1)))
# %%
sequential(nn.Linear(2,2), nn.ReLU()), Lambda(lambda x: x+1)(tensor(1.)), View(-1, 2)(torch.zeros(4)), Flatten()(torch.zeros(2,3,4)).shape, Identity()(3)
# %%
mish(tensor([1.])), Mish()(tensor([1.]))
# %%
GetAttr, Self, dict2obj({'a':{'b':1}}).a.b, obj2dict(dict2obj({'a':1})), in_notebook(), in_colab(), IN_NOTEBOOK
# %%
list(map(Self.upper(), ['a'])), L('a','b').map(Self.upper())
# %%
parallel(str, [1,2], n_workers=0)
# %%
isinstance(Self.foo, object), type(fastuple(1,2)).__name__
# %%
with working_directory('.'): pass
# %%
concat([1],[2]), hasattrs(3, ['real']), getattrs(3, 'real', 'imag')
# %%
c = CategoryMap(['b','a','b'])
c.items, c.o2i, len(c), list(c)
# %%
Categorize, RegressionBlock, CategoryBlock, ColReader('a')({'a': 3})
