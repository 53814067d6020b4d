CREATE TABLE `account_keys` (
  `username` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `public_key` char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `added_ms` bigint NOT NULL,
  `used_ms` bigint NOT NULL,
  PRIMARY KEY (`username`,`public_key`),
  CONSTRAINT `account_keys_ibfk_1` FOREIGN KEY (`username`) REFERENCES `accounts` (`username`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `account_keys` VALUES
('alice','ded8185ea15942328f29ce47d5663c4dd46c9fe7e51fa74e5955221c92416ecb',1795960508898,1795960508898),
('bob','8b82ff1bbf250d85143dacf3c6d864847be241128ad9a07f83fe8f445056875e',1795960509271,1795960509271),
('carol','cf52a0ee12e6df7ce07f6754e6d9cec2a0a3878f3869144e5d6e0060cdd480f2',1795960509523,1795960509523);
CREATE TABLE `accounts` (
  `username` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `phc` varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `created_ms` bigint NOT NULL,
  `banned` tinyint(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (`username`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `accounts` VALUES
('alice','$argon2id$v=19$m=19456,t=2,p=1$WE7DrEmsa3ljksW+6+LFQA$OKanidDih+0CTNWE/V6+1oPHklroqYzndfiwqd1Rw6Q',1795960508736,0),
('bob','$argon2id$v=19$m=19456,t=2,p=1$FWtyBuQW8zm693uWC5cRKw$dmrpMqOfvXCNUfQwAJiIhcRt9eSRQExpqblVcmv8I/8',1795960509076,0),
('carol','$argon2id$v=19$m=19456,t=2,p=1$5W/78X4kuK9azbcdkWDhOA$X7RfDGRXJtwuFZvP5pbFtTsDWpM8Hq2DMcWbiGC75NE',1795960509445,1);
CREATE TABLE `broadcasts` (
  `number` bigint unsigned NOT NULL,
  `sender` varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `time_ms` bigint NOT NULL,
  `text` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `boot_ms` bigint NOT NULL,
  `boot_id` bigint unsigned NOT NULL,
  PRIMARY KEY (`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `broadcasts` VALUES
(1,'alice',1795960509549,'Kept since version 0.1',5856478,3187997069629344091);
CREATE TABLE `log` (
  `only` tinyint NOT NULL,
  `epoch` bigint unsigned NOT NULL,
  `head` bigint unsigned NOT NULL,
  PRIMARY KEY (`only`),
  CONSTRAINT `log_chk_1` CHECK ((`only` = 1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `log` VALUES
(1,17227717583706016103,1);
CREATE TABLE `schema_version` (
  `only` tinyint NOT NULL,
  `version` int unsigned NOT NULL,
  PRIMARY KEY (`only`),
  CONSTRAINT `schema_version_chk_1` CHECK ((`only` = 1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `schema_version` VALUES
(1,1);
