//! A colony whose history cannot be opened or written shows what is live all the same, says what is
//! wrong, and remembers what it was told as soon as it can.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use coral_proto::agent::v1::ListSessionsRequest;

use crate::asking::{assert_counted, attach, pay, session_of, update};
use crate::common::coral::Coral;
use crate::common::session::{function, number};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::world::{World, await_that, runtime};

const QUERY: [&str; 6] = ["debug", "query", "shop", "--function", "pay", "--since=1h"];

/// A colony that begins in that state, an agent, and a replica.
fn start(prepare: impl FnOnce(&mut World)) -> Result<(World, Target), String> {
    rights::probes()?;
    let binary = compile::e2e_c(&["-O2"])?;
    let mut world = World::bare();
    prepare(&mut world);
    world.start_colony();
    world.add_agent(&binary);
    let replica = world.replica(0);
    world.await_replicas(1);
    Ok((world, replica))
}

/// What a session tells of the history is text among its notices.
fn await_notice(coral: &mut Coral, text: &str) {
    coral.await_line(text);
}

/// A session goes on without a history, and is in it once that is mended.
fn goes_on(world: &World, mut target: Target, says: &str, code: &str, mend: impl FnOnce()) {
    let mut coral = attach(world);
    await_notice(&mut coral, says);
    let mut calls = pay(&mut target, 1);
    let session = session_of(world);
    let counted = || update(world, &session).unwrap().functions[0].calls;
    await_that("what is live is counted", || counted() == calls);
    assert_eq!(world.run(&QUERY).error_code(), code);
    assert_eq!(listed_with_ended(world), [session]);
    mend();
    await_notice(&mut coral, "the history is written to again");
    calls += pay(&mut target, 1);
    assert_counted(world, &coral.finish().document(), calls);
}

fn listed_with_ended(world: &World) -> Vec<String> {
    let request = ListSessionsRequest {
        with_ended: true,
        ..ListSessionsRequest::default()
    };
    let listed = runtime().block_on(async { world.client().await.list_sessions(request).await });
    let sessions = listed.unwrap().into_inner().sessions.into_iter();
    sessions.map(|session| session.session_id).collect()
}

#[test]
fn a_history_that_another_colony_has_is_taken_over_when_that_ends() {
    let mut other = World::bare();
    let (world, target) = need!(start(|world| {
        let path = world.history.display();
        other.start_colony_with(&format!("    debug: {{storage: {{path: '{path}'}}}}\n"));
    }));
    let says = "is in use by another process";
    goes_on(&world, target, says, "history-locked", || {
        other.kill_colony();
    });
}

#[test]
fn a_damaged_history_is_left_alone_and_begun_anew_when_it_is_set_aside() {
    let damaged = vec![b'x'; 64 << 10];
    let (world, target) = need!(start(|world| {
        fs::write(&world.history, &damaged).unwrap();
    }));
    let aside = world.path("aside");
    goes_on(&world, target, "is damaged", "history-damaged", || {
        fs::rename(&world.history, &aside).unwrap();
    });
    assert_eq!(fs::read(&aside).unwrap(), damaged);
}

/// A disk that only the colony sees holds its history.
fn on_disk(world: &mut World, options: &str) {
    let disk = world.path("disk");
    fs::create_dir(&disk).unwrap();
    world.history = disk.join("history.duckdb");
    let disk = disk.display();
    world.before_colony = format!("mount -t tmpfs -o size=64m{options} none '{disk}'");
}

#[test]
fn a_disk_that_may_only_be_read_stops_nothing() {
    let (world, target) = need!(start(|world| on_disk(world, ",ro")));
    let mend = || {
        let pid = world.colony.as_ref().unwrap().pid().to_string();
        let mut mount = Command::new("nsenter");
        mount.args(["--mount", "--target", &pid, "mount", "-o", "remount,rw"]);
        assert!(mount.arg(world.path("disk")).status().unwrap().success());
    };
    goes_on(&world, target, "cannot be used", "history-unusable", mend);
}

#[test]
fn a_disk_that_becomes_full_stops_nothing() {
    let (world, mut target) = need!(start(|world| on_disk(world, "")));
    let mut coral = attach(&world);
    let mut calls = pay(&mut target, 1);
    let filler = seen_by_colony(&world).join("filler");
    fill(&filler);
    await_notice(&mut coral, "its disk is full");
    calls += pay(&mut target, 1);
    fs::remove_file(filler).unwrap();
    await_notice(&mut coral, "the history is written to again");
    calls += pay(&mut target, 1);
    assert_counted(&world, &coral.finish().document(), calls);
}

/// The disk by a path that leads to it from here.
fn seen_by_colony(world: &World) -> PathBuf {
    let disk = world.path("disk");
    let pid = world.colony.as_ref().unwrap().pid();
    PathBuf::from(format!("/proc/{pid}/root{}", disk.display()))
}

/// Takes all that is left of a disk.
fn fill(path: &std::path::Path) {
    let mut file = File::create(path).unwrap();
    loop {
        match file.write(&[1; 64 << 10]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_history_that_is_damaged_under_a_colony_stops_nothing() {
    let (mut world, mut target) = need!(start(|_| {}));
    let coral = attach(&world);
    let session = session_of(&world);
    let mut calls = pay(&mut target, 1);
    let length = fs::metadata(&world.history).unwrap().len();
    let file = File::options().write(true).open(&world.history).unwrap();
    file.write_all_at(&vec![b'x'; length as usize], 0).unwrap();
    calls += pay(&mut target, 1);
    let counted = || update(&world, &session).unwrap().functions[0].calls;
    await_that("what is live is counted", || counted() == calls);
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    // It is noticed when it is read.
    world.kill_colony();
    world.start_colony();
    world.await_replicas(1);
    let aside = world.path("aside");
    goes_on(&world, target, "is damaged", "history-damaged", || {
        fs::rename(&world.history, &aside).unwrap();
    });
}

#[test]
fn queries_that_take_long_hold_no_session_up() {
    let (world, mut target) = need!(start(|_| {}));
    let endless = "select count(*) from range(10000000) a, range(10000000) b, range(100) c \
                   where a.range + b.range = c.range * 7";
    let query = |_| Coral::start(&mut world.command(&["sql", endless]));
    let queries: Vec<Coral> = (0..4).map(query).collect();
    await_that("queries run", || !workers(&world).is_empty());
    let coral = attach(&world);
    let calls = (0..5).map(|_| pay(&mut target, 1)).sum();
    assert!(!workers(&world).is_empty());
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    // Dropping them kills them.
    drop(queries);
    await_that("nothing of the queries is left", || {
        workers(&world).is_empty()
    });
    assert_counted(&world, &document, calls);
}

/// The processes in which queries are answered.
fn workers(world: &World) -> Vec<String> {
    let colony = world.colony.as_ref().unwrap().pid();
    let threads = fs::read_dir(format!("/proc/{colony}/task")).unwrap();
    // Threads come and go.
    let children =
        threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("children")).ok());
    let children: String = children.collect();
    children.split_whitespace().map(str::to_owned).collect()
}
