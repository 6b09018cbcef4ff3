"""Inline code that is the name of something public is a link to its page."""

from api_pages import public_names
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class LinkPublicNames(SphinxPostTransform):
    """Makes a reference of each literal of a Markdown page or an example that is a public name."""

    # Before references are resolved.
    default_priority = 5

    def run(self, **kwargs):
        if self.env.docname.startswith("api/"):
            return
        names = public_names()
        for literal in list(self.document.findall(nodes.literal)):
            target = names.get(literal.astext())
            if target is None or isinstance(literal.parent, (nodes.reference, addnodes.pending_xref)):
                continue
            reference = addnodes.pending_xref(
                "", literal.deepcopy(), refdomain="py", reftype="obj", reftarget=target, refexplicit=True, refwarn=True
            )
            literal.replace_self(reference)


def setup(app):
    """Adds the transform."""
    app.add_post_transform(LinkPublicNames)
    return {"parallel_read_safe": True}
