"""Where the panels stand before the user moves them."""

from __future__ import annotations

from imgui_bundle import imgui

from gui_utils import theme
from viz.canvas import TITLE

LEFT_EM = 20.0
RIGHT_EM = 29.0
TRANSFORM_EM, TRANSFORM_SHARE = 26.0, 0.42
"""Height of the panel, and the largest part of the window's."""
LAYERS_SHARE = 0.47
WIDEST_SHARE = 0.31
"""Of the window, for the panels on one side: the picture stays the largest thing."""
LEFT_TOP, LEFT_BOTTOM, RIGHT_TOP, RIGHT_BOTTOM = 'left top', 'left bottom', 'right top', 'right bottom'


def bake_letters() -> None:
    """Have the letters drawn into the fonts' textures in one order, whatever is shown first.

    Where a letter lies there decides its last bit on the screen: without this, two runs would differ.
    """
    letters = ''.join(map(chr, range(32, 127))) + '…·×°–←→↑↓ψβσ'
    for which, size in ((theme.REGULAR, 1.0), (theme.BOLD, 1.0), (theme.BOLD, 1.15), (theme.MONO, 1.0)):
        with theme.font(which, size):
            imgui.calc_text_size(letters)


def dock_space(*, rebuild: bool, places: dict[str, str]) -> bool:
    """Offer the window's area to the panels; arranges them if nothing is arranged yet, or on `rebuild`.

    `places`: title of a panel -> one of the four places, in the order of their tabs. True if they were arranged now.
    """
    identity = imgui.get_id('desk')
    node = imgui.internal.dock_builder_get_node(identity)
    is_new = rebuild or node is None or (node.is_leaf_node() and not node.windows.size())
    if is_new:
        _arrange(identity, places)
    imgui.dock_space_over_viewport(identity, imgui.get_main_viewport())
    return is_new


def _arrange(identity: int, places: dict[str, str]) -> None:
    build, em = imgui.internal, imgui.get_font_size()
    size = imgui.get_main_viewport().work_size
    build.dock_builder_remove_node(identity)
    build.dock_builder_add_node(identity, int(build.DockNodeFlagsPrivate_.dock_space))
    build.dock_builder_set_node_size(identity, size)
    left_share = min(LEFT_EM * em / max(size.x, 1.0), WIDEST_SHARE)
    right_share = min(RIGHT_EM * em / max(size.x, 1.0), WIDEST_SHARE)
    left = build.dock_builder_split_node(identity, imgui.Dir.left, left_share)
    right = build.dock_builder_split_node(left.id_at_opposite_dir, imgui.Dir.right, right_share / (1 - left_share))
    left_parts = build.dock_builder_split_node(
        left.id_at_dir, imgui.Dir.down, min(TRANSFORM_EM * em / max(size.y, 1.0), TRANSFORM_SHARE)
    )
    right_parts = build.dock_builder_split_node(right.id_at_dir, imgui.Dir.down, 1 - LAYERS_SHARE)
    nodes = {
        LEFT_TOP: left_parts.id_at_opposite_dir,
        LEFT_BOTTOM: left_parts.id_at_dir,
        RIGHT_TOP: right_parts.id_at_opposite_dir,
        RIGHT_BOTTOM: right_parts.id_at_dir,
    }
    for title, place in places.items():
        build.dock_builder_dock_window(title, nodes[place])
    build.dock_builder_dock_window(TITLE, right.id_at_opposite_dir)
    middle = build.dock_builder_get_node(right.id_at_opposite_dir)
    middle.set_local_flags(int(build.DockNodeFlagsPrivate_.no_tab_bar) | int(build.DockNodeFlagsPrivate_.central_node))
    build.dock_builder_finish(identity)
