# ruff: noqa: E402
"""The only import of PyOpenGL and GLFW, because both depend on what happened before.

imgui_bundle comes first: it points pyGLFW at the GLFW it carries itself (3.5, which has the null platform).
PyOpenGL's switches must be set before `OpenGL.GL` is loaded: it would ask the driver for errors after every call.
"""

import os

import imgui_bundle  # noqa: F401

from gui_utils.graphics import choose_opengl_platform

choose_opengl_platform(headless=not os.environ.get('DISPLAY'))

import glfw
import OpenGL

OpenGL.ERROR_CHECKING = False
OpenGL.ERROR_LOGGING = False

from OpenGL import GL

__all__ = ['GL', 'glfw']
