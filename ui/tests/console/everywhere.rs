//! Every place of the console, with all that can be shown there.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    CallValue, FunctionTable, FunctionTableBuilder, Module, NewFunction, ProcessSummary,
    SessionNotice, SessionSummary, Snapshot, StackFrame, Target,
};
use coral_ui::{Effect, Event, Failure, Level, Notice, OpenedSession, Options, SourceEvent};

use crate::harness::Console;
use crate::{calls, colony, fixture};

/// Every screen, view and overlay: its name, and the keys that lead there from the one before, on
/// a terminal of 60x20. `Paste` pastes the text that the console was filled with, with `Colony` the
/// session has replicas from then on, with `Listing` there are services instead of processes, with `History` sessions of everybody;
/// `Opened` is the answer to opening one. `Schema`, `Failed` and `Rows` are about queries.
pub(crate) const PLACES: [(&str, &str); 49] = [
    ("processes", "1"),
    ("processes, filtered", "/ Paste Enter"),
    ("functions", "Esc 2"),
    ("functions, about their code", "c"),
    ("functions while typing a filter", "c / Paste"),
    ("histogram", "Esc 3"),
    ("heatmap", "v"),
    ("heatmap with an area", "b h h k k Enter"),
    ("percentile lines", "Esc v"),
    ("comparison", "v"),
    ("comparison of sessions", "M M M"),
    ("call tree", "4"),
    ("call tree, searched", "/ Paste Enter"),
    ("flame", "Esc 4 j j v"),
    ("flame, zoomed", "z"),
    ("sandwich", "Esc v"),
    ("slow calls", "v"),
    ("a slow call", "Enter"),
    ("a call on its time axis", "z"),
    ("calls in flight", "v"),
    ("a call in flight", "Enter"),
    ("sessions", "5"),
    ("a past session", "G Enter 2"),
    ("events", "L 6"),
    ("help", "?"),
    ("palette", "Esc :"),
    ("palette while typing", "Paste"),
    ("function finder", "Esc Ctrl-P Paste"),
    ("source", "Esc 2 w"),
    ("question", "Esc / Paste Enter A"),
    ("attach form", "Esc Esc a"),
    ("attach form with a pattern", "Left Tab Paste"),
    ("filter of a session", "Esc F Paste"),
    ("filter of a session that is wrong", "Enter"),
    ("typed filter", "Esc / p 9 9 Space > Space Paste"),
    ("views", "Esc Esc '"),
    ("name of a view", "Esc W Paste"),
    ("replicas", "Esc 2 Colony g R"),
    ("replicas, filtered", "/ Paste Enter"),
    ("a replica alone", "Esc Enter"),
    ("services", "Listing 1"),
    ("services, filtered", "/ Paste Enter"),
    ("agents", "Esc G"),
    ("sessions of everybody", "History 5 g j"),
    ("a session of the history", "Enter Opened 2"),
    ("sql while typing", "Schema 7 Paste Space d"),
    ("sql, running", "Enter"),
    ("sql, failed", "Failed Esc"),
    ("sql rows", "Enter Enter Rows"),
];

/// What is shown in the place of every text that can come from outside.
#[derive(Clone, Copy)]
struct Texts<'a>(Option<&'a str>);

impl Texts<'_> {
    fn put(self, own: &str) -> String {
        self.0.unwrap_or(own).to_owned()
    }

    fn replace(self, text: &mut String) {
        *text = self.put(text);
    }
}

/// A console in the place with that number, filled with the shop's own texts.
pub(crate) fn console_at(options: Options, place: usize) -> Console {
    let mut console = filled(options, Texts(None));
    for (_, keys) in &PLACES[..=place] {
        go(&mut console, Texts(None), keys);
    }
    console
}

/// Takes a console that is filled with `text`, or with the shop's own texts, to every place.
pub(crate) fn visit(
    options: Options,
    text: Option<&str>,
    mut look: impl FnMut(&'static str, &mut Console),
) {
    let mut console = filled(options, Texts(text));
    for (place, keys) in PLACES {
        go(&mut console, Texts(text), keys);
        look(place, &mut console);
    }
}

/// On the functions screen, with an incident in the past, a past session, a mark and a notice.
fn filled(options: Options, texts: Texts<'_>) -> Console {
    // The sessions' target is this one: else their numbers would be of another process.
    let mut target = fixture::target();
    target_with_texts(&mut target, texts);
    let mut console = Console::open_on(options, target, table(texts));
    console.send(SourceEvent::Processes(processes(texts)));
    let mut past = with_texts(fixture::ended(), texts);
    past.session.id.0 = format!("{}-past", texts.put("dbg"));
    console.send(SourceEvent::SessionEnded(Arc::new(past)));
    console.play(snapshots(texts));
    console.press("Esc Esc Esc 2 g");
    console
}

/// Presses keys, and answers what they ask the rest of the program for.
fn go(console: &mut Console, texts: Texts<'_>, keys: &str) {
    console.resize(60, 20);
    for key in keys.split_whitespace() {
        let effects = match key {
            "History" => {
                console.send(SourceEvent::History(history(texts).into()));
                Vec::new()
            }
            "Opened" => {
                console.send(SourceEvent::SessionOpened(Box::new(opened(texts))));
                Vec::new()
            }
            "Schema" | "Failed" | "Rows" => {
                console.send(of_sql(key, texts));
                Vec::new()
            }
            "Listing" => {
                console.send(listing(texts));
                Vec::new()
            }
            "Colony" => {
                console.snapshot(with_texts(colony::troubled(), texts));
                Vec::new()
            }
            "Paste" => console.event(Event::Paste(texts.put("a"))),
            key => console.press(key),
        };
        console.settle();
        for effect in effects {
            if let Effect::ReadSource { file, .. } = effect {
                console.send(SourceEvent::SourceText {
                    file,
                    first_line: 1,
                    lines: (0..200).map(|_| texts.put("\treturn nil, err")).collect(),
                });
            }
        }
    }
}

/// The table of the shop and others.
pub(crate) fn shop() -> Arc<FunctionTable> {
    table(Texts(None))
}

/// The shop at each of 30 seconds.
pub(crate) fn recording() -> Vec<Snapshot> {
    snapshots(Texts(None))
}

/// What a notice says that comes from outside.
pub(crate) fn notice(text: &str) -> SourceEvent {
    SourceEvent::Notice(Notice {
        level: Level::Warning,
        code: Some(text.into()),
        message: text.into(),
        help: text.into(),
    })
}

/// The shop's functions, and enough others for a question to be asked about all of them.
fn table(texts: Texts<'_>) -> Arc<FunctionTable> {
    let mut builder = FunctionTableBuilder::new();
    let (shop, target) = (fixture::table(), fixture::target());
    builder.add_module(Module {
        path: texts.put(&target.exe),
        build_id: target.build_id,
        language: target.language,
    });
    let others: Vec<String> = (0..60).map(|n| format!("main.handler{n}")).collect();
    let others = fixture::table_of(others.iter().map(String::as_str));
    for function in shop.iter().chain(others.iter()) {
        let name = texts.put(function.name);
        builder.push(&NewFunction {
            name: &name,
            package: 0..name.floor_char_boundary(function.package.len()),
            file: Some(&texts.put(function.file.unwrap_or("/src/shop/main.go"))),
            line: Some(function.line.unwrap_or(7)),
            address: function.address,
            size: function.size,
            language: function.language,
            source: function.source,
            module: 0,
            plan: function.plan,
        });
    }
    Arc::new(builder.build())
}

fn processes(texts: Texts<'_>) -> Arc<[ProcessSummary]> {
    let mut processes = fixture::processes().to_vec();
    for process in &mut processes {
        let ProcessSummary {
            name,
            command,
            user,
            container,
            refusal,
            ..
        } = process;
        for text in [name, command, user] {
            texts.replace(text);
        }
        for text in [container, refusal].into_iter().flatten() {
            texts.replace(text);
        }
    }
    processes.into()
}

/// What a colony remembers.
fn history(texts: Texts<'_>) -> Vec<SessionSummary> {
    let mut history = colony::history();
    for session in &mut history {
        session.id.0 = format!("{}-{}", texts.put("dbg"), session.requested_by);
        texts.replace(&mut session.service);
        texts.replace(&mut session.requested_by);
        session
            .functions
            .iter_mut()
            .for_each(|name| texts.replace(name));
    }
    history
}

/// The live session of it, with its numbers.
fn opened(texts: Texts<'_>) -> OpenedSession {
    let mut opened = colony::opened("dbg-ann");
    for (_, snapshot) in &mut opened.moments {
        *snapshot = Arc::new(with_texts((**snapshot).clone(), texts));
    }
    opened.session = history(texts)[0].id.clone();
    target_with_texts(&mut opened.target, texts);
    opened.table = table(texts);
    opened
}

/// What comes of queries: the tables, a failure of the first one, the rows of the second.
fn of_sql(what: &str, texts: Texts<'_>) -> SourceEvent {
    match what {
        "Schema" => {
            let mut schema = colony::schema();
            for table in &mut schema.tables {
                texts.replace(&mut table.name);
            }
            SourceEvent::SqlSchema(Arc::new(schema))
        }
        "Failed" => SourceEvent::SqlFailed {
            query: 1,
            failure: Failure {
                code: texts.put("sql-invalid"),
                message: texts.put("there is no such column"),
                help: texts.put("look at the tables"),
            },
        },
        _ => {
            let mut result = colony::result(20);
            let rows = Arc::make_mut(&mut result.rows).iter_mut();
            let values = rows.flatten().flatten();
            values.for_each(|value| texts.replace(value));
            let names = result.columns.iter_mut();
            names.for_each(|column| texts.replace(&mut column.name));
            SourceEvent::SqlRows {
                query: 2,
                result: Arc::new(result),
            }
        }
    }
}

/// What a colony lists.
fn listing(texts: Texts<'_>) -> SourceEvent {
    let (mut services, mut agents) = (colony::services(), colony::agents());
    for service in &mut services {
        texts.replace(&mut service.name);
        texts.replace(&mut service.source);
        for replica in &mut service.replicas {
            let process = &mut replica.process;
            for text in [
                &mut replica.agent_id,
                &mut process.command,
                &mut process.user,
            ] {
                texts.replace(text);
            }
            let optional = [
                &mut process.container,
                &mut process.refusal,
                &mut replica.build_id,
            ];
            optional
                .into_iter()
                .flatten()
                .for_each(|text| texts.replace(text));
        }
    }
    for agent in &mut agents {
        for text in [
            &mut agent.agent_id,
            &mut agent.host,
            &mut agent.version,
            &mut agent.kernel,
        ] {
            texts.replace(text);
        }
        let optional = [&mut agent.lacks, &mut agent.help];
        optional
            .into_iter()
            .flatten()
            .for_each(|text| texts.replace(text));
    }
    SourceEvent::Services {
        services: services.into(),
        agents: agents.into(),
    }
}

/// The shop's session at each of its seconds, with all that the calls screen shows.
fn snapshots(texts: Texts<'_>) -> Vec<Snapshot> {
    let calls = with_texts(calls::snapshot(), texts);
    let mut snapshots = fixture::incident(30);
    for (second, snapshot) in (0u64..).zip(&mut snapshots) {
        let tree = Arc::make_mut(&mut snapshot.call_tree);
        tree.clone_from(&calls.call_tree);
        for (place, node) in (0u64..).zip(&mut tree.nodes) {
            // Which callee takes longest is not always the same.
            node.total_ns *= 1 + second * place % 5;
        }
        snapshot.in_flight.clone_from(&calls.in_flight);
        snapshot.slow_calls.extend_from_slice(&calls.slow_calls);
        snapshot
            .slow_calls
            .sort_by_key(|call| std::cmp::Reverse(call.duration_ns));
        *snapshot = with_texts(snapshot.clone(), texts);
    }
    snapshots
}

/// A snapshot in which everything that comes from outside is that text.
fn with_texts(mut snapshot: Snapshot, texts: Texts<'_>) -> Snapshot {
    let session = &mut snapshot.session;
    for text in [&mut session.id.0, &mut session.requested_by] {
        texts.replace(text);
    }
    target_with_texts(&mut session.target, texts);
    for replica in snapshot.replicas.iter_mut().map(Arc::make_mut) {
        target_with_texts(&mut replica.target, texts);
        let target = &mut replica.target;
        texts.replace(&mut target.agent_id);
        for text in [&mut target.build_id, &mut replica.trouble] {
            text.iter_mut().for_each(|text| texts.replace(text));
        }
    }
    for stats in snapshot.functions.iter_mut().map(Arc::make_mut) {
        texts.replace(&mut stats.name);
        stats.file = Some(texts.put("/src/shop/main.go"));
        stats.reason.iter_mut().for_each(|text| texts.replace(text));
    }
    for call in &mut snapshot.slow_calls {
        let values = call.arguments.iter_mut().chain(&mut call.results);
        values.for_each(|value| value_with_texts(value, texts));
        stack_with_texts(&mut call.stack, texts);
    }
    for call in &mut snapshot.in_flight {
        stack_with_texts(&mut call.stack, texts);
    }
    snapshot.notices = vec![SessionNotice {
        at: Duration::from_secs(1),
        text: texts.put("main.priceOf was detached: it cost too much"),
    }];
    snapshot
}

fn target_with_texts(target: &mut Target, texts: Texts<'_>) {
    for text in [&mut target.service, &mut target.exe] {
        texts.replace(text);
    }
}

fn value_with_texts(value: &mut CallValue, texts: Texts<'_>) {
    for text in [&mut value.name, &mut value.type_name, &mut value.value] {
        texts.replace(text);
    }
}

fn stack_with_texts(stack: &mut [StackFrame], texts: Texts<'_>) {
    for frame in stack {
        texts.replace(&mut frame.function);
        frame.file.iter_mut().for_each(|text| texts.replace(text));
    }
}
