-- pulse: what a community talks about, and which videos it passes around.
--
--   catchment run examples/pulse.sql --until idle
--
-- reads the sample that ships in examples/data and keeps seven tables in the folder `lake`, and three topics beside them.
-- Your own files:
--
--   catchment run examples/pulse.sql --until idle --set reddit=DIR --set transcripts=DIR
--
-- where DIR holds Reddit dumps (RC_* are comments, RS_* submissions; plain, .zst, .gz or .bz2), and another folder holds
-- YouTube transcripts in any of the usual formats. Run it again whenever files are new or have grown: only those are read,
-- and every table below is brought up to date, also where a comment was edited or deleted since.
--
-- Then ask DuckDB:  SELECT * FROM delta_scan('lake/video_buzz') ORDER BY mentions DESC;


-- Sources ------------------------------------------------------------------------------------------------------------
-- Records of a source replace one another by key: a newer version of a comment takes the place of the older one, a
-- transcript is replaced as a whole. Only the columns that are used below are ever decoded.

CREATE SOURCE comments    WITH (connector = 'reddit',  kind = 'comments',    path = '${reddit:-examples/data/reddit}/RC_*');
CREATE SOURCE submissions WITH (connector = 'reddit',  kind = 'submissions', path = '${reddit:-examples/data/reddit}/RS_*');
CREATE SOURCE transcripts WITH (connector = 'youtube', path = '${transcripts:-examples/data/transcripts}');


-- Views --------------------------------------------------------------------------------------------------------------
-- A view is exactly the answer of its query over everything that was read, at every moment. Several views and sinks may
-- read one view: it is computed once.

-- How busy each subreddit is, hour by hour. A sum of BIGINT is a DECIMAL(38, 0), which is more than scores ever need.
CREATE VIEW activity_hourly AS
SELECT subreddit,
       date_trunc('hour', created_utc) AS hour,
       count(*)                        AS comments,
       sum(score)::BIGINT              AS score,
       count(DISTINCT author)          AS authors
FROM comments
GROUP BY subreddit, date_trunc('hour', created_utc);

-- Hours in which a subreddit's comments stand out against its trailing week, with the figures that say why. Usual is the
-- median of the hours with comments in the 168 hours before; the spread is 1.4826 times their median absolute deviation,
-- which for normally distributed counts is the standard deviation, but which a few wild hours do not move. It is at least
-- 1: in a subreddit with one comment in nearly every hour the deviation is 0, and two comments are no event. An hour is
-- judged only if it can be compared with 24 others.
CREATE VIEW alerts AS
SELECT subreddit, hour, comments, usual, spread, (comments - usual) / spread AS deviations, hours
FROM (
    SELECT subreddit, hour, comments, usual, greatest(1.4826 * deviation, 1.0) AS spread, hours
    FROM (
        SELECT subreddit, hour, comments,
               median(comments) OVER week AS usual,
               mad(comments)    OVER week AS deviation,
               count(*)         OVER week AS hours
        FROM activity_hourly
        WINDOW week AS (PARTITION BY subreddit ORDER BY hour
                        RANGE BETWEEN INTERVAL '168 hours' PRECEDING AND INTERVAL '1 hour' PRECEDING)
    )
)
WHERE hours >= 24 AND (comments - usual) / spread > 6;

-- Every mention of a YouTube video. youtube_video_ids() finds each video once in a text, however often and in whatever
-- form it is linked, so a record stands here once for each distinct video.
CREATE VIEW mentions AS
SELECT 'comment' AS kind, id, subreddit, score, created_utc,
       unnest(youtube_video_ids(body)) AS video_id
FROM comments
UNION ALL
SELECT 'submission', id, subreddit, score, created_utc,
       unnest(youtube_video_ids(concat_ws(' ', title, selftext, url)))
FROM submissions;

-- How much the videos are talked about of which we have a transcript. A record counts once for each distinct video.
CREATE VIEW video_buzz AS
SELECT video_id,
       count(*)                  AS mentions,
       sum(score)::BIGINT        AS score,
       count(DISTINCT subreddit) AS subreddits,
       max(created_utc)          AS last_mention
FROM mentions
WHERE video_id IN (SELECT video_id FROM transcripts)
GROUP BY video_id;

-- Words that say nothing about a topic.
CREATE VIEW stop_words (word) AS
VALUES ('the'), ('and'), ('you'), ('that'), ('was'), ('for'), ('are'), ('with'), ('his'), ('they'),
       ('this'), ('have'), ('from'), ('one'), ('had'), ('word'), ('but'), ('not'), ('what'), ('all'),
       ('were'), ('when'), ('your'), ('can'), ('said'), ('there'), ('use'), ('each'), ('which'), ('she'),
       ('how'), ('their'), ('will'), ('other'), ('about'), ('out'), ('many'), ('then'), ('them'), ('these'),
       ('some'), ('her'), ('would'), ('make'), ('like'), ('him'), ('into'), ('time'), ('has'), ('look');

-- Every word of every comment, with the subreddit and the day (UTC) of the comment.
CREATE VIEW terms AS
SELECT subreddit, CAST(created_utc AS DATE) AS day, unnest(words(body)) AS term
FROM comments;

-- The twenty most frequent words of each subreddit and day; of two that are equally frequent the alphabet's first.
CREATE VIEW trending_terms AS
SELECT subreddit, day, rank, term, uses
FROM (
    SELECT subreddit, day, term, uses,
           row_number() OVER (PARTITION BY subreddit, day ORDER BY uses DESC, term) AS rank
    FROM (
        SELECT subreddit, day, term, count(*) AS uses
        FROM terms
        WHERE term NOT IN (SELECT word FROM stop_words)
        GROUP BY subreddit, day, term
    )
)
WHERE rank <= 20;


-- Sinks --------------------------------------------------------------------------------------------------------------
-- A lake table in mode `current` is the relation itself: rows are replaced and removed as it changes. It lies at
-- <lake>/<table>; the table is called as the relation unless the option `table` says otherwise. All tables change
-- together, in one commit.

CREATE VIEW comment_rows AS
SELECT id, subreddit, author, created_utc, score, body, link_id, parent_id, edited_at
FROM comments;

CREATE SINK comments        FROM comment_rows    WITH (connector = 'lake', table = 'comments', mode = 'current',
                                                       partition_by = 'day(created_utc)');
CREATE SINK activity_hourly FROM activity_hourly WITH (connector = 'lake', mode = 'current');
CREATE SINK mentions        FROM mentions        WITH (connector = 'lake', mode = 'current');
CREATE SINK video_buzz      FROM video_buzz      WITH (connector = 'lake', mode = 'current');
CREATE SINK trending_terms  FROM trending_terms  WITH (connector = 'lake', mode = 'current');
CREATE SINK alerts          FROM alerts          WITH (connector = 'lake', mode = 'current');

-- Whatever could not be read or computed, with its text and the reason: nothing is lost in silence.
CREATE SINK rejects         FROM rejects         WITH (connector = 'lake', mode = 'current');

-- Changes as they happen, as JSON records on topics. Without a server: a broker inside this process keeps them below
-- <lake>/_catchment/topics; --topics HOST:PORT names a Fluvio cluster instead. Look at them with
--
--   catchment topics read video-buzz --topics-dir lake/_catchment/topics
--
-- Records are published once, with each checkpoint; --set delivery=at_least_once publishes them as each epoch closes:
-- sooner, and after a crash some of them twice.

-- Each change with the row before and after it.
CREATE SINK video_buzz_topic FROM video_buzz      WITH (connector = 'fluvio', topic = 'video-buzz', key = 'video_id',
                                                        format = 'debezium', delivery = '${delivery:-exactly_once}');
-- The row as it is now, by key; null when it is gone.
CREATE SINK activity_topic   FROM activity_hourly WITH (connector = 'fluvio', topic = 'activity', key = 'subreddit, hour',
                                                        format = 'upsert', delivery = '${delivery:-exactly_once}');
-- An hour is told of once, when it first stands out; what becomes of its figures is in the table.
CREATE SINK alerts_topic     FROM alerts          WITH (connector = 'fluvio', topic = 'alerts', key = 'subreddit, hour',
                                                        format = 'append', emit = 'first',
                                                        delivery = '${delivery:-exactly_once}');
