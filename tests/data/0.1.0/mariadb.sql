CREATE TABLE `account_keys` (
  `username` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `public_key` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `added_ms` bigint(20) NOT NULL,
  `used_ms` bigint(20) NOT NULL,
  PRIMARY KEY (`username`,`public_key`),
  CONSTRAINT `account_keys_ibfk_1` FOREIGN KEY (`username`) REFERENCES `accounts` (`username`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `account_keys` VALUES
('alice','ded8185ea15942328f29ce47d5663c4dd46c9fe7e51fa74e5955221c92416ecb',1795957260370,1795957260370),
('bob','8b82ff1bbf250d85143dacf3c6d864847be241128ad9a07f83fe8f445056875e',1795957260543,1795957260543),
('carol','cf52a0ee12e6df7ce07f6754e6d9cec2a0a3878f3869144e5d6e0060cdd480f2',1795957260668,1795957260668);
CREATE TABLE `accounts` (
  `username` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `phc` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `created_ms` bigint(20) NOT NULL,
  `banned` tinyint(1) NOT NULL DEFAULT 0,
  PRIMARY KEY (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `accounts` VALUES
('alice','$argon2id$v=19$m=19456,t=2,p=1$u+BlShsnK2j+udlINaJJeQ$Bdb4IJ2/qy81khqRiYQpsT6yug/H0FNvygtaNlcHJ0U',1795957260271,0),
('bob','$argon2id$v=19$m=19456,t=2,p=1$t3KuAnXMVaYW9Kdc4cl2KA$zwoZDwwA/1dtZDda7YDS/+5AU2uv73hzTG5EYbJ5jVE',1795957260477,0),
('carol','$argon2id$v=19$m=19456,t=2,p=1$F3ZU3Y8bSY76i68nGh5ZFw$1JogBacoTkMTJYj8qP/L5Man5Z+dH5gu4deQEsDqrms',1795957260613,1);
CREATE TABLE `broadcasts` (
  `number` bigint(20) unsigned NOT NULL,
  `sender` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `time_ms` bigint(20) NOT NULL,
  `text` text NOT NULL,
  `boot_ms` bigint(20) NOT NULL,
  `boot_id` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `broadcasts` VALUES
(1,'alice',1795957260689,'Kept since version 0.1',2607618,3187997069629344091);
CREATE TABLE `log` (
  `only` tinyint(4) NOT NULL CHECK (`only` = 1),
  `epoch` bigint(20) unsigned NOT NULL,
  `head` bigint(20) unsigned NOT NULL,
  PRIMARY KEY (`only`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `log` VALUES
(1,18058725676143985269,1);
CREATE TABLE `schema_version` (
  `only` tinyint(4) NOT NULL CHECK (`only` = 1),
  `version` int(10) unsigned NOT NULL,
  PRIMARY KEY (`only`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `schema_version` VALUES
(1,1);
