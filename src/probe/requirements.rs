//! What the kernel must offer and allow before a probe can be placed.

use std::fs;
use std::ops::Range;

use coral_model::{Diagnostic, ExitStatus};

use super::features::{Feature, Features};

/// The first kernel release, major and minor, with everything that probes need.
pub const KERNEL_MIN: (u32, u32) = (5, 17);

/// Releases whose return probes are a system call that seccomp filters do not know, so that they
/// end the target (x86-64; repaired in 6.14).
const FILTERED_RETURN_PROBES: Range<(u32, u32)> = (6, 11)..(6, 14);

/// Set to a release such as `5.4`, it is taken for the running kernel's, so that tests can see
/// what happens on an old one.
const RELEASE_OVERRIDE: &str = "CORAL_TEST_KERNEL";

/// Whether this process may place probes on this kernel.
///
/// The environment variable `CORAL_TEST_KERNEL` simulates an older kernel; see
/// [`KernelFacts::read`].
///
/// # Errors
/// If it may not, with what is missing and how to get it.
pub fn can_probe() -> Result<(), MissingRight> {
    KernelFacts::read().check()
}

/// Whether the kernel's return probes end a target whose system calls a seccomp filter judges.
pub fn return_probes_break_seccomp() -> bool {
    let release = parse_release(&KernelFacts::read_release());
    release.is_some_and(|release| FILTERED_RETURN_PROBES.contains(&release))
}

/// What is missing for placing probes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingRight {
    /// The kernel lacks something that came later.
    #[error("Linux {release} is too old for probes, which need {}.{}", KERNEL_MIN.0, KERNEL_MIN.1)]
    KernelTooOld {
        /// The release that runs.
        release: String,
    },
    /// The kernel is new enough and was built without them.
    #[error("Linux {release} was built without {}", feature_names(.missing))]
    NotBuiltIn {
        /// The release that runs.
        release: String,
        /// What is not in it.
        missing: Vec<Feature>,
    },
    /// Capabilities are missing.
    #[error("probes need {}, which this process does not have", names(.missing))]
    NoCapability {
        /// Those that are missing.
        missing: Vec<Capability>,
    },
    /// The kernel is locked down, even for root.
    #[error("the kernel is locked down (mode `{mode}`) and refuses probes: {why}")]
    Lockdown {
        /// The mode of the lockdown.
        mode: String,
        /// What the kernel said.
        why: String,
    },
    /// The capabilities are there, and something else stands in the way.
    #[error("the kernel refuses probes although the capabilities are there: {why}")]
    Refused {
        /// What the kernel said.
        why: String,
    },
}

impl Diagnostic for MissingRight {
    fn code(&self) -> &'static str {
        match self {
            Self::KernelTooOld { .. } => "kernel-too-old",
            Self::NotBuiltIn { .. } => "kernel-without-probes",
            Self::NoCapability { .. } | Self::Refused { .. } => "no-bpf-right",
            Self::Lockdown { .. } => "lockdown",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::KernelTooOld { .. } => {
                format!("boot Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1)
            }
            Self::NotBuiltIn { .. } => {
                "boot a kernel with CONFIG_UPROBES, CONFIG_UPROBE_EVENTS and CONFIG_BPF_EVENTS"
                    .to_owned()
            }
            Self::NoCapability { missing } if missing.contains(&Capability::SysAdmin) => {
                "run as root; from Linux 6.6 on probes need less".to_owned()
            }
            Self::NoCapability { .. } => GRANT_CAPABILITIES.to_owned(),
            Self::Lockdown { .. } => {
                "boot with `lockdown=integrity` or without lockdown on the kernel's command line"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "run outside of the container, or with a seccomp profile that allows bpf(2) and in \
                 the host's user namespace"
                    .to_owned()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Unsupported
    }
}

/// How to get the capabilities.
pub const GRANT_CAPABILITIES: &str = "run as root, or once: `sudo setcap \
     cap_bpf,cap_perfmon,cap_sys_ptrace+ep \"$(command -v coral)\"`";

/// A capability that matters for probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Capability {
    Bpf,
    Perfmon,
    SysPtrace,
    /// Needed only where links for single probes are all that there is, and not on every kernel.
    SysAdmin,
}

impl Capability {
    /// The name in manual pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        }
    }
}

fn names(capabilities: &[Capability]) -> String {
    let names: Vec<&str> = capabilities
        .iter()
        .map(|capability| capability.name())
        .collect();
    names.join(" and ")
}

fn feature_names(features: &[Feature]) -> String {
    let names: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
    names.join(" and ")
}

/// The effective capabilities of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Reads the line `CapEff:` of a `/proc/<pid>/status`.
    pub fn parse(status: &str) -> Option<Self> {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(mask.trim(), 16).ok().map(Self)
    }

    /// Whether it has that capability, by itself or as a part of CAP_SYS_ADMIN.
    pub fn has(self, capability: Capability) -> bool {
        const SYS_ADMIN: u32 = 21;
        let has_bit = |bit: u32| self.0 & (1 << bit) != 0;
        match capability {
            Capability::SysPtrace => has_bit(19),
            Capability::SysAdmin => has_bit(SYS_ADMIN),
            Capability::Perfmon => has_bit(38) || has_bit(SYS_ADMIN),
            Capability::Bpf => has_bit(39) || has_bit(SYS_ADMIN),
        }
    }
}

/// What decides whether probes can be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// The kernel's release, such as `6.18.4-amd64`.
    pub release: String,
    /// The effective capabilities of this process, where they could be read.
    pub capabilities: Option<Capabilities>,
    /// The mode of the kernel's lockdown, where the kernel has one.
    pub lockdown: Option<String>,
    /// What the kernel has of what coral builds on.
    pub features: Features,
}

impl KernelFacts {
    /// Asks the running kernel, and loads trivial programs for a trial; nothing stays.
    ///
    /// If the environment variable `CORAL_TEST_KERNEL` holds a release such as `5.4`, that one is
    /// taken for the kernel's, and the trial's answers are what such a kernel would give. It exists
    /// for tests, and can only take abilities away.
    pub fn read() -> Self {
        let simulated = std::env::var(RELEASE_OVERRIDE).ok();
        Self {
            features: Features::read(simulated.as_deref().and_then(parse_release)),
            release: Self::read_release(),
            capabilities: Capabilities::parse(&read_trimmed("/proc/self/status")),
            lockdown: lockdown_mode(&read_trimmed("/sys/kernel/security/lockdown")),
        }
    }

    fn read_release() -> String {
        std::env::var(RELEASE_OVERRIDE)
            .unwrap_or_else(|_| read_trimmed("/proc/sys/kernel/osrelease"))
    }

    /// Whether probes can be placed.
    ///
    /// The trial decides, not the release: distributions add features to older kernels.
    ///
    /// # Errors
    /// If they cannot, with the cause that a person can do something about.
    pub fn check(&self) -> Result<(), MissingRight> {
        let missing = self.features.missing();
        match self.features.refusal() {
            _ if missing.is_empty() => Ok(()),
            Some(why) => Err(self.refused(why.to_owned())),
            None if self.is_new_enough() => Err(MissingRight::NotBuiltIn {
                release: self.release.clone(),
                missing,
            }),
            None => Err(MissingRight::KernelTooOld {
                release: self.release.clone(),
            }),
        }
    }

    /// What stands behind a refusal of the kernel's.
    fn refused(&self, why: String) -> MissingRight {
        let needed = if self.features.missing() == [Feature::PerfLinks] {
            &[Capability::SysAdmin][..]
        } else {
            &[Capability::Bpf, Capability::Perfmon]
        };
        let lacks = |capability| self.capabilities.is_some_and(|held| !held.has(capability));
        let missing: Vec<Capability> = needed
            .iter()
            .copied()
            .filter(|&capability| lacks(capability))
            .collect();
        if !missing.is_empty() {
            return MissingRight::NoCapability { missing };
        }
        match self.lockdown.as_deref() {
            Some(mode) if mode != "none" => MissingRight::Lockdown {
                mode: mode.to_owned(),
                why,
            },
            _ => MissingRight::Refused { why },
        }
    }

    /// Whether the release is at least [`KERNEL_MIN`]; one that cannot be read counts as new.
    pub fn is_new_enough(&self) -> bool {
        is_new_enough(&self.release)
    }
}

fn is_new_enough(release: &str) -> bool {
    parse_release(release).is_none_or(|release| release >= KERNEL_MIN)
}

/// Major and minor of a release such as `6.18.4-amd64`.
pub fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The mode in brackets of a list such as `none [integrity] confidentiality`.
fn lockdown_mode(list: &str) -> Option<String> {
    let (_, rest) = list.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

/// The text of a small file of the kernel, empty where it is not there.
fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::features::Trial;
    use super::*;

    const ALL: u64 = u64::MAX;
    const BPF_ONLY: u64 = 1 << 39;
    const BPF_AND_PERFMON: u64 = 1 << 39 | 1 << 38;
    const SYS_ADMIN: u64 = 1 << 21;

    fn code(release: &str, held: u64, lockdown: Option<&str>, trial: &Trial) -> &'static str {
        let facts = KernelFacts {
            release: release.into(),
            capabilities: Some(Capabilities(held)),
            lockdown: lockdown.map(str::to_owned),
            features: Features::all(trial),
        };
        facts.check().map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn what_is_missing_is_named_by_its_cause() {
        use Trial::{Unknown, Works};
        let refused = || Trial::Refused("Operation not permitted".into());
        for (release, held, lockdown, trial, expected) in [
            ("6.18.4", BPF_AND_PERFMON, None, Works, "ok"),
            ("6.18.4", ALL, Some("integrity"), Works, "ok"),
            ("5.14.0-503.el9", ALL, None, Works, "ok"),
            ("5.4.0", ALL, None, Unknown, "kernel-too-old"),
            ("5.16.13", 0, None, Unknown, "kernel-too-old"),
            ("5.17.0", ALL, None, Unknown, "kernel-without-probes"),
            ("6.18.4", 0, None, refused(), "no-bpf-right"),
            (
                "6.18.4",
                BPF_ONLY,
                Some("confidentiality"),
                refused(),
                "no-bpf-right",
            ),
            (
                "6.18.4",
                ALL,
                Some("confidentiality"),
                refused(),
                "lockdown",
            ),
            ("6.18.4", SYS_ADMIN, Some("none"), refused(), "no-bpf-right"),
        ] {
            assert_eq!(
                code(release, held, lockdown, &trial),
                expected,
                "{release} {held:x}"
            );
        }
    }

    #[test]
    fn a_missing_capability_is_named_with_the_way_to_get_it() {
        let error = KernelFacts {
            release: "6.18.4".into(),
            capabilities: Some(Capabilities(BPF_ONLY)),
            lockdown: None,
            features: Features::all(&Trial::Refused("Operation not permitted".into())),
        }
        .check()
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "probes need CAP_PERFMON, which this process does not have"
        );
        assert_eq!(error.exit_status(), ExitStatus::Unsupported);
        assert_eq!(
            error.help(),
            "run as root, or once: `sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep \
             \"$(command -v coral)\"`"
        );
    }

    #[test]
    fn links_for_single_probes_may_need_another_capability() {
        let error = KernelFacts {
            release: "6.1.0".into(),
            capabilities: Some(Capabilities(BPF_AND_PERFMON)),
            lockdown: None,
            features: Features::all(&Trial::Works)
                .with(Feature::ProcessFilter, Trial::Unknown)
                .with(Feature::MultiLinks, Trial::Unknown)
                .with(
                    Feature::PerfLinks,
                    Trial::Refused("Permission denied".into()),
                ),
        }
        .check()
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "probes need CAP_SYS_ADMIN, which this process does not have"
        );
    }

    #[test]
    fn releases_are_read_by_their_first_two_numbers() {
        for (release, read) in [
            ("6.18.4-amd64", Some((6, 18))),
            ("5.4", Some((5, 4))),
            ("6.6-rc1", Some((6, 6))),
            ("6", None),
            ("", None),
            ("linux", None),
        ] {
            assert_eq!(parse_release(release), read, "{release}");
        }
    }

    #[test]
    fn status_and_lockdown_are_read_as_the_kernel_writes_them() {
        let status = "CapPrm:\t0000000000000000\nCapEff:\t000000c000080000\nCapBnd:\t0\n";
        let held = Capabilities::parse(status).unwrap();
        for capability in [Capability::Bpf, Capability::Perfmon, Capability::SysPtrace] {
            assert!(held.has(capability), "{}", capability.name());
        }
        assert_eq!(Capabilities::parse("Name:\tcoral\n"), None);
        for (list, mode) in [
            ("none integrity [confidentiality]", Some("confidentiality")),
            ("[none] integrity confidentiality", Some("none")),
            ("", None),
        ] {
            assert_eq!(lockdown_mode(list).as_deref(), mode);
        }
    }
}
