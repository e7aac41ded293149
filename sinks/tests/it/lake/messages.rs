//! What a person reads when a lake sink cannot be.

use std::sync::Arc;

use crate::common::faults::Faulty;
use crate::common::{environment, lake_at, options, spec, view};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::{ErrorKind, Fault, SinkContext, SinkSpec, ViewFacts};
use catchment_sinks::lake::LakeSpec;
use catchment_store::Lake;

/// The message of a check that must fail.
fn refused(facts: &ViewFacts, given: &[(&str, &str)]) -> String {
    let mut options = options(given);
    let error = LakeSpec::check("lake", facts, &mut options, &Lake::default())
        .map(|_| ())
        .and_then(|()| options.finish())
        .unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    error.chain()
}

#[test]
fn options_that_do_not_fit() {
    let facts = view(false);
    for (given, expect) in [
        (
            ("mode", "append"),
            "line 3, column 10: sink \"lake\" cannot append: \"comments\" can take rows back; write mode = 'current' to \
             keep the rows as they are now, or mode = 'changes' to keep every change",
        ),
        (
            ("partition_by", "day(created_ut)"),
            "line 3, column 10: partition_by of sink \"lake\": \"comments\" has no column \"created_ut\"; did you mean \
             \"created_utc\"?",
        ),
        (
            ("partition_by", "x"),
            "line 3, column 10: partition_by of sink \"lake\": \"comments\" has no column \"x\"; its columns are id, \
             subreddit, created_utc, score, ratio, good, body",
        ),
        (
            ("partition_by", "hour(created_utc)"),
            "line 3, column 10: partition_by of sink \"lake\": unknown partition function \"hour\"; write a column's \
             name or day(column)",
        ),
        (
            ("partition_by", "created_utc"),
            "line 3, column 10: partition_by of sink \"lake\": column \"created_utc\" of type Timestamp(µs, \"UTC\") \
             cannot be a partition column; write day(created_utc)",
        ),
        (
            ("partition_by", "day(id)"),
            "line 3, column 10: partition_by of sink \"lake\": day(id) needs a time or a date, and the column has type \
             Utf8View; write partition_by = 'id'",
        ),
        (("partition_by", "id, id"), "line 3, column 10: partition_by of sink \"lake\" names \"id\" twice"),
        (
            ("table", "../elsewhere"),
            "line 3, column 10: sink \"lake\" cannot use \"../elsewhere\" as the path of a table; write table = '…' with \
             letters, digits, '_', '-' and '.', folders separated by '/', none beginning with '_' or '.'",
        ),
        (
            ("partion_by", "id"),
            "line 3, column 10: sink \"lake\" has no option \"partion_by\"; did you mean \"partition_by\"?",
        ),
        (
            ("mode", "curent"),
            "line 3, column 10: option \"mode\" of sink \"lake\" cannot be 'curent'; write one of 'current', 'append', \
             'changes'",
        ),
    ] {
        assert_eq!(refused(&facts, &[given]), expect, "{given:?}");
    }
}

#[test]
fn columns_that_no_table_holds() {
    let facts = |name: &str, kind: DataType| ViewFacts {
        name: "v".into(),
        schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new(name, kind, true)])),
        key: None,
        append_only: false,
    };
    assert_eq!(
        refused(&facts("nothing", DataType::Null), &[]),
        "column \"nothing\" cannot be kept in a lake table: its type is not known, for it is always null; cast it to \
         another type in the view, or leave \"nothing\" out"
    );
    assert_eq!(
        refused(&facts("took", DataType::Duration(catchment_contract::arrow::datatypes::TimeUnit::Second)), &[]),
        "column \"took\" cannot be kept in a lake table: Delta has no type for Duration(s); cast it to another type in \
         the view, or leave \"took\" out"
    );
    assert_eq!(
        refused(&facts("ID", DataType::Int64), &[]),
        "sink \"lake\" would have two columns named \"ID\"; the names of a table's columns must differ in more than case: \
         rename one in the view"
    );
    assert_eq!(
        refused(&facts("count(*)", DataType::Int64), &[]),
        "column \"count(*)\" of \"v\" has a name that a lake table cannot hold; name it in the view with letters, digits \
         and '_': … AS name"
    );
}

#[test]
fn what_a_sink_says_of_itself() {
    let spec = spec(&view(false), &[("partition_by", "day(created_utc), good"), ("table", "reddit/comments")]);
    assert_eq!(spec.describe(), "lake table \"reddit/comments\", mode current, partitioned by day(created_utc), good");
}

#[test]
fn a_lake_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let open = |lake: &str| {
        let context = SinkContext { scratch: folder.path().into(), ..SinkContext::alone("job") };
        let opened = Lake::new(lake, environment()).and_then(|lake| {
            let spec = LakeSpec::check("lake", &view(false), &mut options(&[]), &lake)?;
            spec.open(&context, None).map(|_| ())
        });
        opened.unwrap_err()
    };
    let below = file.join("lake").display().to_string();
    let error = open(&below);
    assert!(error.to_string().contains(&format!("make the lake's folder \"{below}\"")), "{error:?}");
    let error = open("gopher://lake");
    assert_eq!(
        error.chain(),
        "a lake cannot lie at \"gopher://lake\": unknown scheme \"gopher\"; give a folder, file:///path or s3://bucket/prefix"
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = open("s3://");
    assert!(error.chain().contains("write s3://bucket/prefix") || error.chain().contains("give a folder"), "{error:?}");
    // /proc refuses every new folder, to everybody.
    let error = open("/proc/lake");
    assert!(error.chain().contains("make the lake's folder \"/proc/lake\""), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.path().join("x"), "x").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let error = lake.probe().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.chain().contains("permission denied"), "{error:?}");
    assert!(error.chain().contains("give a folder that you may write with --lake"), "{error:?}");
}

#[test]
fn a_table_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    let spec = spec(&view(false), &[]);
    drop(spec.open_in(lake.clone(), &SinkContext::alone("pulse"), None).unwrap());
    let error = spec.open_in(lake.clone(), &SinkContext::alone("other"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Taken);
    assert_eq!(
        error.chain(),
        "table \"comments\" belongs to job \"pulse\", and this is job \"other\"; give the sink another table = '…', the \
         job another lake, or remove the table's folder if nobody needs it"
    );
    let mut second = spec.clone();
    second.sink = "second".into();
    let error = second.open_in(lake.clone(), &SinkContext::alone("pulse"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Taken);
    assert_eq!(
        error.to_string(),
        "table \"comments\" belongs to sink \"lake\" of this job, and this is sink \"second\""
    );
    let changes = crate::common::spec(&view(false), &[("mode", "changes")]);
    let error = changes.open_in(lake.clone(), &SinkContext::alone("pulse"), None).unwrap_err();
    assert_eq!(error.to_string(), "table \"comments\" has mode current, and the sink asks for changes");
    let parted = crate::common::spec(&view(false), &[("partition_by", "good")]);
    let error = parted.open_in(lake.clone(), &SinkContext::alone("pulse"), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table \"comments\" cannot follow its view: it is partitioned by no column, and the sink asks for good"
    );
    // A folder that holds somebody's files and no table.
    let elsewhere = crate::common::spec(&view(false), &[("table", "notes")]);
    lake.put("notes/readme.txt", "mine").unwrap();
    let error = elsewhere.open_in(lake.clone(), &SinkContext::alone("pulse"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Taken);
    assert_eq!(error.to_string(), "cannot make table \"notes\": its folder holds \"notes/readme.txt\" and no table");
}

#[test]
fn a_store_that_accepts_both_creates() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    lake.probe().unwrap();
    let mut faulty = Faulty::new(Arc::clone(lake.object_store()), 1);
    faulty.honest = false;
    let lying = lake.map_store(|_| Arc::new(faulty) as _);
    let error = lying.probe().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("accepted two puts that each said \"only if it does not exist\""), "{error:?}");
    assert_eq!(lying.list("_catchment").unwrap(), [], "the probe leaves nothing");
    let spec = spec(&view(false), &[]);
    assert!(
        spec.open_in(lying, &SinkContext::alone("job"), None).unwrap_err().to_string().contains("accepted two puts")
    );
}
