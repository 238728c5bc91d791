use super::system::Container;
use super::*;
use crate::probe::{Capabilities, Feature, Features, KernelFacts, Trial};

/// A node on which everything is as it should be.
fn good() -> System {
    System {
        kernel: KernelFacts {
            release: "6.18.4-amd64".into(),
            capabilities: Capabilities::parse("CapEff:\tffffffffffffffff"),
            lockdown: Some("none".into()),
            features: Features::all(&Trial::Works),
        },
        has_btf: true,
        unprivileged_bpf_disabled: Some("2".into()),
        perf_event_paranoid: Some("4".into()),
        memlock_bytes: Some(8 << 20),
        ptrace_scope: Some("1".into()),
        container: Container::default(),
        clocksource: Some("tsc".into()),
    }
}

fn without(system: &mut System, features: &[Feature]) {
    for &feature in features {
        system.kernel.features = system.kernel.features.clone().with(feature, Trial::Unknown);
    }
}

/// What a kernel says that lets nothing be tried.
fn refused() -> Features {
    Features::all(&Trial::Refused("Operation not permitted".into()))
}

/// The checks that are not ok.
fn complaints(system: &System) -> Vec<(&'static str, Status)> {
    let report = Report::of(system);
    let checks = report
        .checks()
        .iter()
        .filter(|check| check.status != Status::Ok);
    checks.map(|check| (check.name, check.status)).collect()
}

#[test]
fn nothing_is_said_about_a_good_node() {
    assert_eq!(complaints(&good()), []);
    assert!(Report::of(&good()).verdict().is_ok());
}

#[test]
fn each_fault_is_said_where_it_is() {
    use Status::{Fail, Unknown, Warn};
    type Fault = fn(&mut System);
    let no_rights: Fault = |system| {
        system.kernel.capabilities = Capabilities::parse("CapEff:\t0000000000000000");
    };
    let cases: [(Fault, &[(&str, Status)]); 14] = [
        (
            |system| {
                system.kernel.release = "5.4.0".into();
                system.kernel.features = Features::all(&Trial::Unknown);
            },
            &[
                ("kernel", Fail),
                ("ebpf", Fail),
                ("multi_links", Warn),
                ("process_filter", Warn),
                ("perf_links", Fail),
                ("cookies", Fail),
                ("ring_buffer", Fail),
                ("bpf_loop", Fail),
                ("memlock", Warn),
            ],
        ),
        (
            |system| without(system, &[Feature::MultiLinks, Feature::ProcessFilter]),
            &[("multi_links", Warn), ("process_filter", Warn)],
        ),
        (
            |system| without(system, &[Feature::ProcessFilter]),
            &[("process_filter", Warn)],
        ),
        (|system| without(system, &[Feature::PerfLinks]), &[]),
        (
            |system| without(system, &[Feature::BpfLoop]),
            &[("ebpf", Fail), ("bpf_loop", Fail)],
        ),
        (
            |system| system.kernel.release = "5.14.0-503.el9".into(),
            &[],
        ),
        (
            |system| system.kernel.release = String::new(),
            &[("kernel", Unknown)],
        ),
        (
            no_rights,
            &[
                ("cap_bpf", Fail),
                ("cap_perfmon", Fail),
                ("cap_sys_ptrace", Warn),
                ("perf_event_paranoid", Warn),
            ],
        ),
        (
            |system| system.kernel.lockdown = Some("confidentiality".into()),
            &[("lockdown", Warn)],
        ),
        (|system| system.has_btf = false, &[("btf", Warn)]),
        (
            |system| system.ptrace_scope = Some("3".into()),
            &[("ptrace_scope", Warn)],
        ),
        (
            |system| system.container.has_own_pids = true,
            &[("container", Warn)],
        ),
        (
            |system| system.clocksource = Some("acpi_pm".into()),
            &[("clock", Warn)],
        ),
        (|system| system.clocksource = None, &[("clock", Unknown)]),
    ];
    for (index, (fault, expected)) in cases.into_iter().enumerate() {
        let mut system = good();
        fault(&mut system);
        assert_eq!(complaints(&system), expected, "case {index}");
    }
    let mut locked = good();
    locked.kernel.lockdown = Some("confidentiality".into());
    locked.kernel.features = refused();
    let faults: Vec<_> = complaints(&locked)
        .into_iter()
        .filter(|complaint| complaint.1 != Unknown)
        .collect();
    assert_eq!(faults, [("ebpf", Fail), ("lockdown", Fail)]);
}

#[test]
fn a_report_reads_as_it_should() {
    let mut system = good();
    system.kernel.features = refused();
    system.kernel.capabilities = Capabilities::parse("CapEff:\t0000004000080000");
    let mut out = Vec::new();
    Report::of(&system).write_text(&mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        include_str!("report.expected.txt")
    );
}

#[test]
fn the_document_holds_every_check() {
    let report = Report::of(&good());
    let document = serde_json::to_value(report.document()).unwrap();
    assert_eq!(document["schema"], "coral.doctor.v1");
    assert_eq!(document["can_probe"], true);
    assert_eq!(
        document["checks"].as_array().unwrap().len(),
        report.checks().len()
    );
    assert_eq!(
        document["checks"][0].to_string(),
        r#"{"fix":null,"found":"6.18.4-amd64","name":"kernel","needed":"Linux 5.17 or newer; 6.10 has everything","status":"ok"}"#
    );
}

#[test]
fn this_node_is_judged_as_its_trial_says() {
    let report = Report::read();
    let ebpf = report
        .checks()
        .iter()
        .find(|check| check.name == "ebpf")
        .unwrap();
    assert_eq!(report.verdict().is_ok(), ebpf.status == Status::Ok);
}
