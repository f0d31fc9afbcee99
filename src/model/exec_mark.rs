//! The numbers that tell a process from what it was before an exec.

/// Where the kernel put the stack and the environment at the last exec (proc_pid_stat(5), fields 28 and 51). A
/// fork has its parent's mark. An exec gets a new one at random (`kernel.randomize_va_space`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ExecMark {
    pub(crate) stack: u64,
    pub(crate) environ_end: u64,
}

/// Without address randomisation, only the name of the executed file lies between the environment and the end of the
/// address space. The name has 4 KiB at most (fs/exec.c, bprm_execve). A page of vectors or a free page may follow.
const ABOVE: u64 = 128 << 10;

impl ExecMark {
    /// No other exec has this mark. Without address randomisation (personality(2), ADDR_NO_RANDOMIZE) each exec of a
    /// program has the same mark. A random mark looks like that by chance once in 130,000 times on x86-64, in 8,000 on
    /// arm64.
    pub(crate) fn is_unique(&self) -> bool {
        let end = self.environ_end.checked_next_power_of_two();
        end.is_some_and(|end| end - self.environ_end > ABOVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_all_execs_have_is_not_unique() {
        // x86-64: random twice, then fixed twice. arm64: random, fixed. 32 bits: fixed twice. At last: no mark.
        let table = [
            (0x7ffc_2676_dfe7, true),
            (0x7fff_ff94_0fe7, true),
            (0x7fff_ffff_efe7, false),
            (0x7fff_ffff_e001, false),
            (0xffff_d1e2_3fe7, true),
            (0xffff_ffff_ffe7, false),
            (0xffff_dfe7, false),
            (0xfffe_efe7, false),
            (0, false),
        ];
        for (environ_end, unique) in table {
            assert_eq!(ExecMark { stack: 0, environ_end }.is_unique(), unique, "{environ_end:x}");
        }
    }
}
