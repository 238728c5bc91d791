//! What agents list and are asked for: functions, processes, settings, limits, costs.

use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    Diagnostic, ExpectedCost, FunctionId, FunctionTable, FunctionTableBuilder, Language, Limits,
    Module, NewFunction, ProbeReason, ProbeSummary, Probeability, ProcessSummary, SessionSettings,
    SymbolSource, Target,
};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::{FunctionPages, function_page, settings_from_wire};
use proptest::prelude::*;
use prost::Message;

use crate::tape::Tape;

const SOURCES: [SymbolSource; 6] = [
    SymbolSource::Symtab,
    SymbolSource::Dwarf,
    SymbolSource::Gopclntab,
    SymbolSource::EhFrame,
    SymbolSource::Dynsym,
    SymbolSource::Sdk,
];

/// A table with every source, plan and reason.
fn table() -> FunctionTable {
    let mut builder = FunctionTableBuilder::new();
    for (path, build_id) in [("/bin/checkout", Some("c0ffee")), ("/lib/libc.so.6", None)] {
        builder.add_module(Module {
            path: path.to_owned(),
            build_id: build_id.map(str::to_owned),
            language: Language::Go,
        });
    }
    let probes = [
        Probeability::Full,
        Probeability::EntryOnly,
        Probeability::None,
    ];
    let reasons = ProbeReason::ALL.into_iter().map(Some).chain([None]);
    for (place, reason) in (0u16..).zip(reasons) {
        let name = format!("main.main.step\u{1b}{place}");
        let plan = ProbeSummary {
            probe: probes[usize::from(place) % 3],
            exits: place.into(),
            reason,
        };
        builder.push(&NewFunction {
            name: &name,
            package: 5..9,
            file: (place % 2 == 0).then_some("main.go"),
            line: (place % 3 == 0).then_some(u32::from(place) + 1),
            address: 0x40_1000 + u64::from(place) * 32,
            size: 32,
            language: [Language::Go, Language::Unknown][usize::from(place) % 2],
            source: SOURCES[usize::from(place) % SOURCES.len()],
            module: place % 2,
            plan: (place % 4 != 3).then_some(plan),
        });
    }
    builder.build()
}

fn first_page(table: &FunctionTable) -> wire::ListFunctionsResponse {
    wire::ListFunctionsResponse {
        modules: table.modules().iter().map(Into::into).collect(),
        total: table.len() as u64,
        ..Default::default()
    }
}

/// Sends a table in pages and puts it together again.
fn sent(table: &FunctionTable, functions_max: usize, bytes_max: usize) -> FunctionTable {
    let mut pages = FunctionPages::new();
    let mut next = 0;
    while next < table.len() {
        let functions = function_page(table.iter().skip(next), functions_max, bytes_max);
        assert!(!functions.is_empty() && functions.len() <= functions_max);
        let page = wire::ListFunctionsResponse {
            functions,
            ..first_page(table)
        };
        next += page.functions.len();
        let bytes = page.encode_to_vec();
        let page = wire::ListFunctionsResponse::decode(bytes.as_slice()).unwrap();
        pages.add(&page).unwrap();
    }
    pages.build().unwrap()
}

#[test]
fn a_table_arrives_as_it_was_whatever_the_pages() {
    let table = table();
    for (functions_max, bytes_max) in [(1, 1 << 20), (5, 1 << 20), (1_000, 200), (1_000, 1)] {
        assert_eq!(sent(&table, functions_max, bytes_max), table);
    }
}

#[test]
fn a_page_keeps_to_its_bytes() {
    let mut builder = FunctionTableBuilder::new();
    builder.add_module(Module {
        path: String::new(),
        build_id: None,
        language: Language::C,
    });
    for _ in 0..40 {
        builder.push(&NewFunction {
            name: &"n".repeat(64 << 10),
            package: 0..0,
            file: None,
            line: None,
            address: 0,
            size: 0,
            language: Language::C,
            source: SymbolSource::Symtab,
            module: 0,
            plan: None,
        });
    }
    let table = builder.build();
    let functions = function_page(table.iter(), 1_000, 1_000_000);
    assert_eq!(functions.len(), 15);
    let page = wire::ListFunctionsResponse {
        functions,
        ..Default::default()
    };
    assert!(page.encoded_len() <= 1_000_000);
    assert_eq!(sent(&table, 1_000, 1_000_000), table);
}

#[test]
fn functions_that_cannot_be_are_refused() {
    let table = table();
    let check = |change: fn(&mut wire::Function), code: Option<&str>| {
        let mut page = first_page(&table);
        page.functions = function_page(table.iter(), 1, 1 << 20);
        change(&mut page.functions[0]);
        let error = FunctionPages::new().add(&page).err();
        assert_eq!(error.as_ref().map(Diagnostic::code), code, "{page:?}");
    };
    check(|_| {}, None);
    check(|it| it.id = 1, Some("wire-no-such-place"));
    check(|it| it.module = 2, Some("wire-no-such-place"));
    check(|it| it.module = u32::MAX, Some("wire-no-such-place"));
    check(|it| it.source = 0, Some("wire-missing-field"));
    check(
        |it| it.plan = Some(Default::default()),
        Some("wire-missing-field"),
    );
    check(
        |it| (it.package_start, it.package_len) = (u32::MAX, u32::MAX),
        None,
    );
    let mut pages = FunctionPages::new();
    pages.add(&first_page(&table)).unwrap();
    assert_eq!(pages.build().unwrap_err().code(), "wire-missing-field");
}

#[test]
fn a_table_without_an_end_is_refused() {
    let mut pages = FunctionPages::with_bytes_max(10_000);
    let mut page = first_page(&table());
    page.functions = function_page(table().iter(), 1, 1 << 20);
    page.functions[0].name = "n".repeat(4_000);
    pages.add(&page).unwrap();
    page.functions[0].id = 1;
    pages.add(&page).unwrap();
    page.functions[0].id = 2;
    assert_eq!(pages.add(&page).unwrap_err().code(), "wire-too-large");
}

#[test]
fn a_reason_of_a_newer_agent_is_no_error() {
    let table = table();
    let mut page = first_page(&table);
    page.total = 1;
    page.functions = function_page(table.iter(), 1, 1 << 20);
    page.functions[0].plan.as_mut().unwrap().reason = Some("full_moon".to_owned());
    page.functions[0].language = 99;
    let mut pages = FunctionPages::new();
    pages.add(&page).unwrap();
    let table = pages.build().unwrap();
    let function = table.get(FunctionId(0)).unwrap();
    assert_eq!(function.plan.unwrap().reason, None);
    assert_eq!(function.language, Language::Unknown);
}

#[test]
fn processes_costs_and_limits_arrive_as_they_were() {
    let process = ProcessSummary {
        pid: 7,
        start_ticks: 1,
        user: "root".to_owned(),
        name: "checkout".to_owned(),
        command: "checkout --port 80".to_owned(),
        language: Some(Language::Unknown),
        ports: vec![80, u16::MAX],
        container: Some("c0ffee".to_owned()),
        resident_bytes: 1 << 40,
        refusal: None,
    };
    let sent = wire::Process::from(&process);
    assert_eq!(ProcessSummary::try_from(sent.clone()), Ok(process));
    let ports = vec![65_536];
    let error = ProcessSummary::try_from(wire::Process { ports, ..sent }).unwrap_err();
    assert_eq!(error.to_string(), "ports is 65536, which is not a port");

    for dearest in [None, Some((FunctionId(0), 1.5))] {
        let cost = ExpectedCost {
            hits_per_s: 1e6,
            cpu_percent: Some(2.5),
            dearest,
            counted: Duration::from_millis(300),
            is_at_least: true,
        };
        assert_eq!(
            ExpectedCost::try_from(wire::ExpectedCost::from(&cost)),
            Ok(cost)
        );
    }

    let limits = Limits::default();
    assert_eq!(Limits::try_from(wire::Limits::from(&limits)), Ok(limits));
}

#[test]
fn what_is_not_asked_for_is_the_agents_default() {
    let defaults = SessionSettings {
        duration: Duration::from_secs(30),
        budget_percent: Some(3.0),
        ..SessionSettings::default()
    };
    let check = |change: fn(&mut wire::SessionSettings)| {
        let mut settings = wire::SessionSettings::default();
        change(&mut settings);
        settings_from_wire(&settings, &defaults)
    };
    assert_eq!(check(|_| {}), Ok(defaults.clone()));
    let budget = check(|it| it.budget_percent = Some(1.5))
        .unwrap()
        .budget_percent;
    assert_eq!(budget, Some(1.5));
    let budget = check(|it| (it.no_budget, it.budget_percent) = (true, Some(1.5)));
    assert_eq!(budget.unwrap().budget_percent, None);
    for percent in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let settings = wire::SessionSettings {
            budget_percent: Some(percent),
            ..Default::default()
        };
        let error = settings_from_wire(&settings, &defaults).unwrap_err();
        assert_eq!(error.code(), "wire-out-of-range");
    }
    let filter = check(|it| it.filter = "amount >".to_owned()).unwrap_err();
    assert_eq!(filter.code(), "bad-filter");
    let filter = check(|it| it.filter = "amount > 1".to_owned())
        .unwrap()
        .filter;
    assert_eq!(filter, Some(Expression::parse("amount > 1").unwrap()));
}

proptest! {
    #[test]
    fn settings_and_targets_arrive_as_they_were(
        numbers in prop::collection::vec(any::<u32>(), 0..100),
    ) {
        let mut tape = Tape::new(numbers);
        let settings = tape.settings();
        let sent = wire::SessionSettings::from(&settings);
        let defaults = SessionSettings::default();
        prop_assert_eq!(settings_from_wire(&sent, &defaults), Ok(settings));
        let target = tape.target();
        prop_assert_eq!(Target::from(wire::Target::from(&target)), target);
    }
}
