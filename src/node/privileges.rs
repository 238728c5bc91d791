//! What the agent may do on its node: no more than probing takes.

use rustix::io::Result;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

/// Load programs, attach them, and look at processes of other users with executables that only
/// their owners may read.
const NEEDED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// Gives up all other capabilities, for this thread and those that it starts; so this comes before
/// any other thread. `keep_chown` keeps what it takes to give a socket to a group.
///
/// # Errors
/// Those of the kernel; then it has what it had.
pub fn drop_privileges(keep_chown: bool) -> Result<()> {
    let mut kept = NEEDED;
    kept.set(CapabilitySet::CHOWN, keep_chown);
    let held = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: held.permitted & kept,
            permitted: held.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    set_no_new_privs(true)?;
    clear_ambient_capability_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_grants_what_the_agent_keeps() {
        let names: Vec<String> = NEEDED
            .iter_names()
            .map(|(name, _)| format!("CAP_{name}"))
            .collect();
        for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
            let line = super::super::SYSTEMD_UNIT
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key}=")));
            let mut granted: Vec<_> = line.unwrap().split(' ').collect();
            granted.sort_unstable();
            let mut names: Vec<_> = names.iter().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(granted, names, "{key}");
        }
    }
}
