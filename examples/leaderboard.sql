-- leaderboard: the twenty videos that are mentioned most, kept from a topic.
--
--   catchment run examples/pulse.sql --until idle          publishes `video-buzz`
--   catchment run examples/leaderboard.sql --until idle    reads it back
--
-- Two jobs joined by a topic: this one knows nothing of comments or transcripts. Both use the embedded broker of the
-- folder `lake`, one after the other. To run both at once, give the topics a process of their own,
--
--   catchment topics serve --topics-dir topics --topics-listen 127.0.0.1:9003
--
-- and both jobs `--topics 127.0.0.1:9003`; or name a Fluvio cluster's controller there.

-- A topic does not say what its records look like: the job does. A record with a new row for a key replaces the older
-- one, a removal takes it away, wherever the topic is read from.
CREATE SOURCE video_buzz (
    video_id     TEXT,
    mentions     BIGINT,
    score        BIGINT,
    subreddits   BIGINT,
    last_mention TIMESTAMP,
    PRIMARY KEY (video_id)
) WITH (connector = 'fluvio', topic = '${topic:-video-buzz}', format = 'debezium');

CREATE VIEW leaderboard AS
SELECT rank, video_id, mentions, score, subreddits, last_mention
FROM (
    SELECT *, row_number() OVER (ORDER BY mentions DESC, score DESC, video_id) AS rank
    FROM video_buzz
)
WHERE rank <= 20;

CREATE SINK leaderboard FROM leaderboard WITH (connector = 'lake', mode = 'current');
-- Records that do not fit the columns above.
CREATE SINK rejects FROM rejects WITH (connector = 'lake', table = 'leaderboard_rejects', mode = 'current');
