"""What may be built from files of strangers, and how."""

#: Classes whose objects are restored by setting their attributes.
_OBJECTS = (
    "sklhash.agh.AnchorGraphHashing",
    "sklhash.cca.LabelColumns",
    "sklhash.deep.soft_pairwise.SoftPairwiseHasher",
    "sklhash.deep.uhga.SSDHHasher",
    "sklhash.deep.uhga.UHGAHasher",
    "sklhash.density_sensitive.DensitySensitiveHashing",
    "sklhash.density_sensitive._Groups",
    "sklhash.isohash.IsotropicHashing",
    "sklhash.itq.ITQ",
    "sklhash.itq._Seen",
    "sklhash.ksh.KernelSupervisedHashing",
    "sklhash.lsh.RandomHyperplaneHashing",
    "sklhash.metrics._scorer.RetrievalScorer",
    "sklhash.pca.PCAHashing",
    "sklhash.principal.PrincipalStatistics",
    "sklhash.retrieval.HammingRetriever",
    "sklhash.sdh.SupervisedDiscreteHashing",
    "sklhash.spectral.SpectralHashing",
    "sklhash.spherical.SphericalHashing",
    "sklhash.spherical._Seen",
    "sklhash.streaming.Moments",
    "sklhash.streaming.Reservoir",
    # What a search over parameters keeps beside its estimators; skops trusts those.
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.GroupKFold",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.PredefinedSplit",
    "sklearn.model_selection._split.RepeatedKFold",
    "sklearn.model_selection._split.RepeatedStratifiedKFold",
    "sklearn.model_selection._split.ShuffleSplit",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.StratifiedShuffleSplit",
    "sklearn.model_selection._split.TimeSeriesSplit",
)

#: How skops builds objects of each type that we trust; not in any other way. It would
#: also call a trusted type with arguments from the file, if that said so.
LOADER_OF = {
    **dict.fromkeys(_OBJECTS, "ObjectNode"),
    "sklhash.codes.PackedCodes": "ConstructorFromReduceNode",  # which checks the codes
    "sklhash.raw_rows.RawRows": "TupleNode",
    "sklhash.deep.alexnet.AlexNet": "TypeNode",  # as `module`
    "sklhash.deep.modules.ConvNet": "TypeNode",
    "sklhash.deep.modules.MLP": "TypeNode",
    "scipy.sparse._csc.csc_array": "SparseMatrixNode",
    "scipy.sparse._csc.csc_matrix": "SparseMatrixNode",
    "scipy.sparse._csr.csr_array": "SparseMatrixNode",
    "scipy.sparse._csr.csr_matrix": "SparseMatrixNode",
}

#: Repeated splits keep the class of the splits that they repeat.
SPLITS = {
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
}
REPEATED = {
    ("sklearn.model_selection._split.RepeatedKFold", "cv"),
    ("sklearn.model_selection._split.RepeatedStratifiedKFold", "cv"),
}

#: Kinds of nodes that are handed on to skops, which knows the types that each may build
#: and asks for all others to be trusted; and what skops reads of each.
FIELDS: dict[str, tuple[str, ...]] = {
    "BytesNode": ("file",),
    "ConstructorFromReduceNode": ("content",),
    "DTypeNode": ("content",),
    "DefaultDictNode": ("content",),
    "DictNode": ("key_types", "content"),
    "FunctionNode": (),
    "JsonNode": ("content",),
    "ListNode": ("content",),
    "LossNode": ("__reduce__", "content"),
    "MaskedArrayNode": ("content",),
    "MethodNode": ("content",),
    "NdArrayNode": ("type", "file", "content", "shape"),
    "ObjectNode": ("content",),
    "OperatorFuncNode": ("attrs",),
    "PartialNode": ("content",),
    "RandomStateNode": ("content",),
    "SetNode": ("content",),
    "SliceNode": ("content",),
    "SparseMatrixNode": ("type", "file"),
    "TreeNode": ("__reduce__", "content"),
    "TupleNode": ("content",),
    "TypeNode": (),
}

#: Nodes of plain data, which objects of ours may hold anywhere.
PLAIN = {
    "BytesNode",
    "DictNode",
    "JsonNode",
    "ListNode",
    "NdArrayNode",
    "RandomStateNode",
    "SparseMatrixNode",
    "TupleNode",
}

#: Where objects of ours hold estimators of others, and what calls none of them.
ESTIMATOR_SLOTS = {
    ("sklhash.density_sensitive._Groups", "kmeans"),
    ("sklhash.retrieval.HammingRetriever", "hasher"),
    ("sklhash.retrieval.HammingRetriever", "hasher_"),
    ("sklearn.metrics._scorer._PassthroughScorer", "_estimator"),
}

#: Where hashers take networks, which they call with two numbers.
NETWORK_SLOTS = ("module", "feature_module")
#: What hashers call, or take the methods of.
CALLED_SLOTS = (*NETWORK_SLOTS, "optimizer", "callbacks")
