"""Kernels to machine code and into memory, by llvmlite: LLVM from a wheel, no compiler on the user's machine."""

import llvmlite
import llvmlite.binding as llvm

_PASSES = ('sroa', 'simplify_cfg', 'instruction_combine', 'new_gvn', 'loop_rotate', 'dead_code_elimination')
"""What is left to do for text that is unrolled and vectorised by hand: a fifth of the time of LLVM's usual passes, and code as quick."""
_WIDE = ('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')


class Compiler:
    """LLVM for this processor. Used by one thread at a time."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
        flat = features.flatten()
        self._machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=flat, opt=3, jit=True)
        self.identity = f'llvmlite {llvmlite.__version__}, LLVM {llvm.llvm_version_info}, {cpu} {flat}'
        """What the machine code depends on besides the kernel."""
        self.has_wide_vectors = all(features.get(name, False) for name in _WIDE)
        """Whether 16 numbers fit a register, as torch sees it."""
        self._linker = llvm.create_lljit_compiler(self._machine)
        self._libraries: list[llvm.ResourceTracker] = []

    def compile(self, text: str) -> bytes:
        """Object code of a kernel."""
        module = llvm.parse_assembly(text)
        module.verify()
        builder = llvm.create_pass_builder(self._machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes = llvm.create_new_function_pass_manager()
        for name in _PASSES:
            getattr(passes, f'add_{name}_pass')()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        return self._machine.emit_object(module)

    def link(self, code: bytes, name: str) -> int:
        """Address of function `name` in object code, which stays loaded."""
        library = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(name).add_current_process()
        self._libraries.append(library.link(self._linker, f'{name}-{len(self._libraries)}'))
        return self._libraries[-1][name]
