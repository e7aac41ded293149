use std::fs;
use std::io::Write;
use std::path::Path;

use catchment_contract::{PartitionReader, Payload, Unfinished};

use super::super::find::path_error;
use super::*;

fn files(path: impl AsRef<Path>) -> FileSet {
    let mut options = Options::new("source \"s\"");
    options.insert("path", path.as_ref().to_str().unwrap(), Default::default());
    FileSet::from_options(&mut options, &Environment::system()).unwrap()
}

/// The text of a partition.
fn text(files: &FileSet, partition: &Partition) -> OpenFile {
    match files.open(partition).unwrap() {
        Opened::Text(file) => *file,
        Opened::Decided(_) => panic!("no text in {}", partition.id),
    }
}

/// What the reader of a partition yields, as lines.
fn read(files: &FileSet, partition: &Partition) -> Vec<Payload> {
    let mut reader: Box<dyn PartitionReader> = match files.open(partition).unwrap() {
        Opened::Text(file) => Box::new(file.into_lines(None, Unfinished::Take)),
        Opened::Decided(reader) => reader,
    };
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn ids(path: impl AsRef<Path>) -> Vec<String> {
    let found = files(path).discover(&BTreeMap::new()).unwrap();
    found.into_iter().map(|partition| partition.id).collect()
}

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["RC_2.zst", "RC_1", "-x", ".hidden", "_y", "RS_1", "sub/a", "sub/deep/b.json", "RC_dir/c", "ü", "RC_[1]"]
    {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}\n").unwrap();
    }
    folder
}

#[test]
fn a_folder_means_all_files_in_it_and_below_in_bytewise_order() {
    let tree = tree();
    let all =
        ["-x", ".hidden", "RC_1", "RC_2.zst", "RC_[1]", "RC_dir/c", "RS_1", "_y", "sub/a", "sub/deep/b.json", "ü"];
    assert_eq!(ids(tree.path()), all);
    assert_eq!(ids(tree.path().join("")), all);
    assert_eq!(ids(tree.path().join("**")), all);
    assert_eq!(ids(tree.path().join("**/*")), all);
    assert_eq!(ids(tree.path().join("*")), all);
}

#[test]
fn globs_match_names() {
    let tree = tree();
    let check = |pattern: &str, expect: &[&str]| assert_eq!(ids(tree.path().join(pattern)), expect, "{pattern}");
    check("RC_*", &["RC_1", "RC_2.zst", "RC_[1]", "RC_dir/c"]);
    check("RC_?", &["RC_1"]);
    check("RC_[12]*", &["RC_1", "RC_2.zst"]);
    check("**/*.json", &["sub/deep/b.json"]);
    check("**/b.json", &["sub/deep/b.json"]);
    check("sub/**/?", &["a"]);
    check("s*/a", &["sub/a"]);
    check("RC_[1]", &["RC_[1]"]);
    check("RC_1", &["RC_1"]);
    check("sub/a", &["a"]);
    check("sub/../RC_?", &["RC_1"]);
}

#[test]
fn every_partition_that_is_found_opens() {
    let tree = tree();
    for pattern in ["", "**/*", "*/a", "RC_[1]", "RC_1", "sub"] {
        let files = files(tree.path().join(pattern));
        for partition in files.discover(&BTreeMap::new()).unwrap() {
            let mut reader = text(&files, &partition).into_lines(None, Unfinished::Take);
            assert_eq!(reader.next().unwrap().unwrap().bytes, b"{}\n", "{pattern} {}", partition.id);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_files_too() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"a\xff"[..], b"a\xfe"] {
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), [name, b"\n"].concat()).unwrap();
    }
    for path in [folder.path().to_path_buf(), folder.path().join("a*")] {
        let files = files(path);
        let found = files.discover(&BTreeMap::new()).unwrap();
        assert_eq!(found.len(), 2);
        assert_ne!(found[0].id, found[1].id);
        let bytes = |partition| read(&files, partition).remove(0).bytes;
        assert_eq!((bytes(&found[0]), bytes(&found[1])), (b"a\xfe\n".to_vec(), b"a\xff\n".to_vec()));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/f"), "{}\n").unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("d/up")).unwrap();
    std::os::unix::fs::symlink("d/f", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    assert_eq!(ids(folder.path()), ["d/f", "link"]);
    assert_eq!(ids(folder.path().join("**/*")), ["d/f", "link"]);
}

#[test]
fn what_is_missing_or_empty_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| files(path).discover(&BTreeMap::new()).unwrap_err();
    let check = |name: &str, kind: ErrorKind, message: &str, hint: &str| {
        let path = folder.path().join(name);
        let error = error(&path);
        assert_eq!(error.kind(), kind, "{}", error.chain());
        let message = message.replace("PATH", path.to_str().unwrap()).replace("ROOT", folder.path().to_str().unwrap());
        assert_eq!((error.to_string(), error.hint()), (message, Some(hint)));
    };
    let absent = ErrorKind::NotFound;
    check("absent", absent, "cannot read path \"PATH\": no such file or folder", "check the option \"path\"");
    check(
        "absent/*.zst",
        absent,
        "cannot read path \"ROOT/absent/\": no such file or folder",
        "check the option \"path\"",
    );
    let empty = "put files there, or change the option \"path\"";
    check("", ErrorKind::Empty, "source \"s\" has nothing to read: \"PATH\" is a folder without files", empty);
    check("*.zst", ErrorKind::Empty, "source \"s\" has nothing to read: \"PATH\" matches no file", empty);
    check("**/*", ErrorKind::Empty, "source \"s\" has nothing to read: \"PATH\" matches no file", empty);
    let relative = error(Path::new("no-such-folder-here"));
    assert!(relative.hint().unwrap().contains("it is looked for in the working directory"), "{}", relative.chain());
}

#[test]
fn a_source_that_once_had_files_may_be_empty_now() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "{}\n").unwrap();
    let files = files(folder.path());
    let partition = files.discover(&BTreeMap::new()).unwrap().pop().unwrap();
    let position = text(&files, &partition).into_lines(None, Unfinished::Take).next().unwrap().unwrap().position;
    fs::remove_file(folder.path().join("a")).unwrap();
    assert_eq!(files.discover(&BTreeMap::from([("a".to_owned(), position)])).unwrap(), []);
}

#[test]
fn a_wrong_glob_and_an_empty_path_are_the_users_fault() {
    let folder = tempfile::tempdir().unwrap();
    for pattern in ["a**b", "[x"] {
        let error = files(folder.path().join(pattern)).discover(&BTreeMap::new()).unwrap_err();
        assert!(error.chain().contains("is wrong"), "{}", error.chain());
        assert_eq!(error.fault(), catchment_contract::Fault::User);
    }
    let mut options = Options::new("source \"s\"");
    assert!(
        FileSet::from_options(&mut options, &Environment::system())
            .unwrap_err()
            .chain()
            .contains("needs the option \"path\"")
    );
    options.insert("path", " ", Default::default());
    assert!(
        FileSet::from_options(&mut options, &Environment::system())
            .unwrap_err()
            .chain()
            .contains("\"path\" of source \"s\" is empty")
    );
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_denied_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (closed, file) = (folder.path().join("closed"), folder.path().join("file"));
    fs::create_dir(&closed).unwrap();
    fs::write(&file, "{}\n").unwrap();
    fs::write(folder.path().join("other"), "{1}\n").unwrap();
    for path in [&closed, &file] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    if fs::read_dir(&closed).is_ok() {
        println!("skipped: this user may read everything, whatever the permissions (root)");
        return;
    }
    let files = files(folder.path());
    let found = files.discover(&BTreeMap::new()).unwrap();
    assert_eq!(found.iter().map(|partition| partition.id.as_str()).collect::<Vec<_>>(), ["closed", "file", "other"]);
    for (partition, path) in found.iter().zip([&closed, &file]) {
        let error = files.open(partition).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.to_string(), format!("cannot read path \"{}\": permission denied", path.display()));
        assert!(error.hint().unwrap().contains("chmod"));
    }
    assert_eq!(read(&files, &found[2])[0].bytes, b"{1}\n");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Reads everything that `discover` names, to the end; what it was, and the rejects.
fn round(files: &FileSet, known: &mut BTreeMap<String, Position>) -> (Vec<String>, usize) {
    let (mut got, mut rejects) = (Vec::new(), 0);
    for partition in files.discover(known).unwrap() {
        for payload in read(files, &partition) {
            got.extend(String::from_utf8(payload.bytes).unwrap().lines().map(str::to_owned));
            rejects += payload.rejects.len();
            known.insert(partition.id.clone(), payload.position);
        }
    }
    (got, rejects)
}

#[test]
fn the_same_content_is_not_new_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let files = files(folder.path()).by_content();
    let mut known = BTreeMap::new();
    let long: String = (0..40_000).map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(40))).collect();
    fs::write(path("a"), &long).unwrap();
    fs::write(path("b"), "{1}\n{2}\n").unwrap();
    fs::write(path("c.zip"), "PK\x03\x04 and so on").unwrap();
    assert_eq!(round(&files, &mut known), (long.lines().chain(["{1}", "{2}"]).map(str::to_owned).collect(), 1));
    let nothing = (Vec::<String>::new(), 0);
    assert_eq!(round(&files, &mut known), nothing);

    for name in ["a", "b", "c.zip"] {
        File::options().append(true).open(path(name)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    assert_eq!(files.discover(&known).unwrap().len(), 3, "to be recorded");
    assert_eq!(round(&files, &mut known), nothing, "touched");
    assert_eq!(files.discover(&known).unwrap(), []);

    fs::rename(path("a"), path("z")).unwrap();
    fs::rename(path("c.zip"), path("d.zip")).unwrap();
    fs::copy(path("b"), path("e")).unwrap();
    assert_eq!(round(&files, &mut known), nothing, "renamed and copied");
    assert_eq!(files.discover(&known).unwrap(), []);
    fs::OpenOptions::new().append(true).open(path("z")).unwrap().write_all(b"{3}\n").unwrap();
    assert_eq!(round(&files, &mut known), (vec!["{3}".to_owned()], 0), "it goes on under its new name");
}

#[test]
fn a_rotated_log_goes_on_under_its_new_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let files = files(folder.path()).by_content();
    let append = |name: &str, text: &str| {
        fs::OpenOptions::new().create(true).append(true).open(path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let mut known = BTreeMap::new();
    append("app.log", "{1}\n");
    assert_eq!(round(&files, &mut known).0, ["{1}"]);
    append("app.log", "{2}\n");
    fs::rename(path("app.log"), path("app.log.1")).unwrap();
    append("app.log", "{3}\n");
    assert_eq!(round(&files, &mut known).0, ["{2}", "{3}"], "the rest of the old one, then the new one");
    fs::rename(path("app.log.1"), path("app.log.2")).unwrap();
    fs::rename(path("app.log"), path("app.log.1")).unwrap();
    append("app.log", "{4}\n{5}\n{6}\n");
    assert_eq!(round(&files, &mut known).0, ["{4}", "{5}", "{6}"]);
    fs::copy(path("app.log"), path("app.log.0")).unwrap();
    fs::write(path("app.log"), "").unwrap();
    append("app.log", "{7}\n");
    assert_eq!(round(&files, &mut known).0, ["{7}"], "copied and truncated");
    assert_eq!(round(&files, &mut known).0, [] as [&str; 0]);
}

#[test]
fn copies_that_come_together_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path()).by_content();
    for name in ["a", "b", "c", "d"] {
        fs::write(folder.path().join(name), if name == "c" { "{2}\n" } else { "{1}\n" }).unwrap();
    }
    let mut known = BTreeMap::new();
    assert_eq!(round(&files, &mut known).0, ["{1}", "{2}"]);
    assert_eq!(round(&files, &mut known).0, [] as [&str; 0]);
    assert_eq!((known.len(), files.discover(&known).unwrap()), (4, vec![]));
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.json");
    let (environment, clock) = Environment::simulated(1);
    let mut options = Options::new("source \"s\"");
    options.insert("path", folder.path().to_str().unwrap(), Default::default());
    let files = FileSet::from_options(&mut options, &environment).unwrap();
    let write = |text: &str, at| {
        fs::write(&path, text).unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
    };
    let now = environment.wall();
    write("{1}\n", now);
    let mut known = BTreeMap::new();
    assert_eq!(round(&files, &mut known).0, ["{1}"]);
    write("{2}\n", now);
    assert_eq!(files.discover(&known).unwrap(), [], "too early to tell");
    clock.advance(std::time::Duration::from_secs(3));
    assert_eq!(round(&files, &mut known).0, ["{2}"], "size and time are as they were, and it has changed");
    assert_eq!(files.discover(&known).unwrap(), []);
}

#[test]
fn what_vanishes_or_changes_between_look_and_open_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    fs::write(folder.path().join("a"), "{1}\n").unwrap();
    let partition = files.discover(&BTreeMap::new()).unwrap().remove(0);
    fs::remove_file(folder.path().join("a")).unwrap();
    assert!(read(&files, &partition).is_empty());
    assert!(read(&files, &Partition { id: "no/such/folder/a".to_owned(), ..partition }).is_empty());
}

#[test]
fn positions_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path()).by_content();
    fs::write(folder.path().join("a"), "{1}\n").unwrap();
    let mut known = BTreeMap::new();
    round(&files, &mut known);
    assert!(known["a"].0.len() <= 75, "{} bytes: {}", known["a"].0.len(), known["a"].0);
}

#[cfg(unix)]
#[test]
fn links_in_a_loop_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("b", folder.path().join("a")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
    std::os::unix::fs::symlink(".", folder.path().join("self")).unwrap();
    fs::write(folder.path().join("f"), "{}\n").unwrap();
    for pattern in ["", "*", "**/*"] {
        assert_eq!(ids(folder.path().join(pattern)), ["f"], "{pattern}");
    }
}

#[test]
fn an_error_about_permission_says_what_to_do_whoever_runs_the_test() {
    let error = path_error(Path::new("data/x"), io::ErrorKind::PermissionDenied.into());
    assert_eq!(error.kind(), ErrorKind::Denied);
    let expect = "cannot read path \"data/x\": permission denied: permission denied; \
                  give the user that runs the job the right to read it (chmod, chown)";
    assert_eq!(error.chain(), expect);
}

#[test]
fn a_document_is_read_again_when_its_content_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.json");
    fs::write(&path, "\u{feff}[1,\n2]").unwrap();
    let files = files(folder.path());
    let partition = files.discover(&BTreeMap::new()).unwrap().pop().unwrap();
    let mut reader = text(&files, &partition).into_document(Unfinished::Take);
    let payload = reader.next().unwrap().unwrap();
    assert_eq!((payload.bytes.as_slice(), payload.rejects.len()), (b"[1,\n2]".as_slice(), 0));
    assert!(reader.next().unwrap().is_none());
    let known = BTreeMap::from([("d.json".to_owned(), payload.position)]);
    assert_eq!(files.discover(&known).unwrap(), []);
    File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let touched = files.discover(&known).unwrap().remove(0);
    let Opened::Decided(mut reader) = files.open(&touched).unwrap() else { panic!("it is known") };
    let payload = reader.next().unwrap().expect("the new time");
    assert!(payload.bytes.is_empty() && payload.rejects.is_empty(), "touched, not changed");
    let known = BTreeMap::from([("d.json".to_owned(), payload.position)]);
    assert_eq!(files.discover(&known).unwrap(), []);
    fs::write(&path, "[1,2,3]\n").unwrap();
    let changed = files.discover(&known).unwrap();
    assert_eq!((changed.len(), &changed[0].from), (1, &None));
}

#[test]
fn documents_that_cannot_be_read_are_one_reject() {
    let packed = zstd::stream::encode_all(&b"[1,2,3]"[..], 1).unwrap();
    let cases: [(&[u8], &str); 3] = [
        (b"", "the file is empty (0 bytes)"),
        (b" \n", "the document is empty"),
        (&packed[..packed.len() - 3], "the zstd stream is cut off: incomplete frame"),
    ];
    for (bytes, reason) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("d"), bytes).unwrap();
        let files = files(folder.path());
        let partition = files.discover(&BTreeMap::new()).unwrap().pop().unwrap();
        let payload = text(&files, &partition).into_document(Unfinished::Take).next().unwrap().unwrap();
        assert!(payload.bytes.is_empty());
        assert_eq!(payload.rejects.iter().map(|reject| reject.reason.as_str()).collect::<Vec<_>>(), [reason]);
    }
}

#[test]
fn a_document_that_is_being_written_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let set = files(folder.path());
    let open = || {
        let partition = set.discover(&BTreeMap::new()).unwrap().remove(0);
        text(&set, &partition)
    };
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"whole\":1}").unwrap();
        encoder.finish().unwrap()
    };
    for begun in [b"".as_slice(), b" \n", &gzip[..gzip.len() - 3]] {
        fs::write(&path, begun).unwrap();
        assert!(open().into_document(Unfinished::Leave).next().unwrap().is_none(), "it may come yet");
        assert_eq!(open().into_document(Unfinished::Take).next().unwrap().unwrap().rejects.len(), 1);
        File::options().append(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let quiet = open().into_document(Unfinished::Leave).next().unwrap().unwrap();
        assert_eq!(quiet.rejects.len(), 1, "nobody is writing it any more");
    }
    // Opened when half of it was there.
    fs::write(&path, "{\"half\":").unwrap();
    let half = open();
    fs::write(&path, "{\"half\":2}").unwrap();
    let Opened::Text(whole) = half.settled().unwrap() else { panic!("it is there") };
    let whole = whole.into_document(Unfinished::Leave).next().unwrap().unwrap();
    assert_eq!(whole.bytes, b"{\"half\":2}");
}
